"""Folders of recordings: patients, segments, what is stored of each, and what is wrong with them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from recordings import overwritten, with_gaps, write_by_edfio
from scipy import signal

from ctlr.data.kinds.signals.writing import write_edf
from ctlr.data.listing import Listing
from ctlr.data.preprocess import preprocess
from ctlr.data.reader import reader_of
from ctlr.data.store import ArrayStore
from ctlr.errors import DataError
from ctlr.specs import ELECTRODES, MONTAGES, SignalsPreprocess, SignalsSpec
from ctlr.workspace import Workspace

LABELS = [f"EEG {name.upper()}-REF" for name in ELECTRODES]
SEEN = [(0, 40, "bckg"), (40, 25, "seiz"), (65, 12, "seiz"), (80, 40, "bckg")]


def noise(seed: int, seconds: int = 120, rate: int = 250, channels: int = 19) -> NDArray[np.float64]:
    """Noise that falls with frequency, some 30 uV."""
    rng = np.random.default_rng(seed)
    walk = signal.lfilter([1], [1, -0.98], rng.normal(0, 6, (channels, seconds * rate)), axis=1)
    return np.asarray(walk)


def record(
    path: Path, seed: int = 0, seen: Sequence[tuple[float, float, str]] = SEEN, *, labels: Sequence[str] = LABELS,
    seconds: int = 120, rate: int = 250,
) -> Path:  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_edf(path, labels, noise(seed, seconds, rate, len(labels)), rate, seen)
    return path


def folder_of(root: Path, **options: Any) -> SignalsSpec:
    prepared = {key: options.pop(key) for key in list(options) if key in SignalsPreprocess.model_fields}
    return SignalsSpec.model_validate(
        {"root": str(root), "name": "eeg", **options, "preprocess": SignalsPreprocess.model_validate(prepared)}
    )


def listed(spec: SignalsSpec) -> Listing:
    found = reader_of(spec).listing()
    assert found is not None
    return found


def stored(spec: SignalsSpec, folder: Path, workers: int = 1) -> ArrayStore:
    workspace = Workspace(folder)
    return ArrayStore(preprocess(spec, workspace, workers=workers), workspace)


# ---------------------------------------------------------------- what there is


def test_segments_come_from_events_that_are_long_enough(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf")
    found = listed(folder_of(tmp_path))
    assert [(image.subject, float(image.session), image.columns["class"]) for image in found.images] == [
        *(("sub-1", start, "bckg") for start in (0, 10, 20, 30)), *(("sub-1", start, "seiz") for start in (40, 50)),
        *(("sub-1", start, "bckg") for start in (80, 90, 100, 110)),
    ]  # fmt: skip
    assert [(each.place, each.reason) for each in found.left_out] == [
        ("sub-1_eeg.edf (1)", "an event is shorter than `min_event: 15` s.")
    ]
    assert found.faults == ()


def test_each_segment_says_what_else_its_patient_has(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf")
    record(tmp_path / "sub-2_eeg.edf", seen=[(0, 30, "bckg")])
    found = {(image.subject, image.columns["classes"]) for image in listed(folder_of(tmp_path)).images}
    assert found == {("sub-1", "bckg + seiz"), ("sub-2", "bckg")}


def test_labels_become_classes_and_others_are_counted(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf", seen=[*SEEN, (5, 3, "artf"), (9, 3, "artf")])
    found = listed(folder_of(tmp_path, labels={"seiz": "seizure"}, max_segments=1))
    assert [image.columns["class"] for image in found.images] == ["seizure"]
    assert {each.place for each in found.left_out} == {
        "sub-1_eeg.edf (2 x artf)", "sub-1_eeg.edf (2 x bckg)", "sub-1_eeg.edf (1)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("file", "pattern", "patient"),
    [
        ("sub-7_ses-1_eeg.edf", "", "sub-7"), ("aaaaaajy/s001/aaaaaajy_s001_t000.edf", "", "aaaaaajy"),
        ("x.bdf", "", "x"), ("01_tcp_ar/aaaaaajy_s001_t000.edf", r"([a-z]{8})_s\d+_t\d+\.edf$", "aaaaaajy"),
    ],
)  # fmt: skip
def test_the_patient_is_read_from_the_path(file: str, pattern: str, patient: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    write_by_edfio(path, list(noise(0, 20)), [250] * 19, LABELS)
    found = listed(folder_of(tmp_path, patient=pattern, events="none"))
    assert [(image.subject, image.file) for image in found.images] == [(patient, file)] * 2


def test_a_table_of_patients_gives_targets_where_there_are_no_events(tmp_path: Path) -> None:
    for number in (1, 2):
        record(tmp_path / f"sub-{number}/eeg/sub-{number}_task-rest_eeg.edf", number, seconds=35)
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-1\t31\n2\t42\n")
    (tmp_path / "participants.json").write_text('{"age": {"Units": "years"}}')
    found = listed(folder_of(tmp_path, events="none", max_segments=2))
    assert [(image.subject, image.columns) for image in found.images] == [
        *[("sub-1", {"age": "31"})] * 2, *[("sub-2", {"age": "42"})] * 2,
    ]  # fmt: skip
    assert [float(image.session) for image in found.images[:2]] == [0, 10]
    assert found.units == {"age": "years"}


def test_label_files_of_tuh_stand_beside_the_recordings(tmp_path: Path) -> None:
    record(tmp_path / "a_s001_t000.edf", seen=())
    (tmp_path / "a_s001_t000.csv_bi").write_text(
        "# version = csv_v1.0.0\n\nchannel,start_time,stop_time,label,confidence\nTERM,0.0,60.5,bckg,1.0\n"
        "TERM,60.5,120.4,seiz,1.0\n"
    )
    (tmp_path / "a_s001_t000.csv").write_text(
        "channel,start_time,stop_time,label,confidence\nFP1-F7,60.5,90.0,fnsz,1.0\nF7-T3,62.0,100.0,fnsz,1.0\n"
    )
    (tmp_path / "a_s001_t000.tse").write_text("version = tse_v1.0.0\n\n0.0 120.0 bckg 1.0\n")
    starts = {
        events: [
            (float(image.session), image.columns["class"])
            for image in listed(folder_of(tmp_path, events=events)).images
        ]
        for events in ("csv_bi", "csv", "tse")
    }
    assert starts["csv_bi"] == [(10.0 * k, "bckg") for k in range(6)] + [(60.5 + 10 * k, "seiz") for k in range(5)]
    assert starts["csv"] == [(60.5, "fnsz"), (70.5, "fnsz"), (80.5, "fnsz")]
    assert starts["tse"] == [(10.0 * k, "bckg") for k in range(12)]


# ---------------------------------------------------------------- what is stored


def by_scipy(values: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """(20, T) the whole recording, filtered in time and resampled, at tcp."""
    sections = signal.butter(4, (0.5, 35), "bandpass", fs=rate, output="sos")
    filtered = signal.sosfiltfilt(sections, values, padlen=10 * rate)
    resampled = signal.resample_poly(filtered, 50, rate, axis=1)
    at = {name: number for number, name in enumerate(ELECTRODES)}
    return np.stack([resampled[at[a]] - resampled[at[b]] for a, b in (row.split("-") for row in MONTAGES["tcp"])])


def test_a_segment_is_what_scipy_makes_of_the_whole_recording(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf")
    store = stored(folder_of(tmp_path, normalise="none", dtype="float32"), tmp_path / "workspace")
    wanted = by_scipy(noise(0), 250)
    assert store.arrays.shape == (20, 500)
    for row, record_ in enumerate(store.table):
        start = round(float(record_.session) * 50)
        found, part = store.read([row])[0], wanted[:, start : start + 500]
        assert np.corrcoef(found.ravel(), part.ravel())[0, 1] > 0.999
        assert found.std() == pytest.approx(part.std(), rel=0.01)


def test_several_rates_in_one_file_come_to_one(tmp_path: Path) -> None:
    values = noise(0, 40)
    halved = signal.resample_poly(values, 1, 2, axis=1)
    write_by_edfio(tmp_path / "one.edf", list(values), [250] * 19, LABELS)
    mixed = [halved[k] if k % 2 else values[k] for k in range(19)]
    write_by_edfio(tmp_path / "two.edf", mixed, [125 if k % 2 else 250 for k in range(19)], LABELS, units=["mV"] * 19)
    spec = folder_of(tmp_path, events="none", normalise="none", dtype="float32", montage="average")
    found = stored(spec, tmp_path / "workspace").read(range(8))
    assert np.corrcoef(found[:4].ravel(), found[4:].ravel())[0, 1] > 0.999
    assert found[4:].std() == pytest.approx(1000 * found[:4].std(), rel=0.01)


def test_bdf_is_read_as_edf_is(tmp_path: Path) -> None:
    values = list(noise(0, 20))
    for name in ("a.edf", "b.bdf"):
        write_by_edfio(tmp_path / name, values, [250] * 19, LABELS)
    found = stored(folder_of(tmp_path, events="none"), tmp_path / "workspace").read(range(4))
    np.testing.assert_allclose(found[:2], found[2:], atol=0.05)


def test_each_channel_of_a_segment_is_scaled_by_its_own_quartiles(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf", seconds=20, seen=[(0, 20, "rest")])
    found = stored(folder_of(tmp_path, dtype="float32"), tmp_path / "workspace").read([0, 1])
    low, middle, high = np.quantile(found, [0.25, 0.5, 0.75], axis=2)
    np.testing.assert_allclose(middle, 0, atol=1e-5)
    np.testing.assert_allclose(high - low, 1.349, rtol=1e-4)
    assert np.abs(found).max() <= 10


def test_no_segment_holds_a_gap(tmp_path: Path) -> None:
    with_gaps(record(tmp_path / "sub-1_eeg.edf", seen=()), gaps=[47])
    spec = folder_of(tmp_path, events="none", normalise="none", dtype="float32")
    found = listed(spec)
    assert [float(image.session) for image in found.images] == [0, 10, 20, 30, *(107 + 10 * k for k in range(7))]
    store = stored(spec, tmp_path / "workspace")
    parts = by_scipy(noise(0)[:, : 47 * 250], 250), by_scipy(noise(0)[:, 47 * 250 :], 250)
    for row, (part, start) in enumerate(
        [*((parts[0], 10 * k) for k in range(4)), *((parts[1], 10 * k) for k in range(7))]
    ):
        wanted = part[:, start * 50 : (start + 10) * 50]
        assert np.corrcoef(store.read([row])[0].ravel(), wanted.ravel())[0, 1] > 0.999


def test_any_number_of_workers_stores_the_same_bytes_of_long_recordings(tmp_path: Path) -> None:
    for number in range(2):
        record(tmp_path / f"data/sub-{number}_eeg.edf", number, (), seconds=400, labels=LABELS[:3], rate=100)
    spec = folder_of(tmp_path / "data", events="none", montage=("Fp1-F7", "Fp2"))
    written = set()
    for workers in (1, 2, 5):
        store = stored(spec, tmp_path / f"workspace{workers}", workers)
        assert len(store) == 80
        written.add((tmp_path / f"workspace{workers}" / store.arrays.path / "images.npy").read_bytes())
    assert len(written) == 1


def test_who_was_recorded_is_stored_nowhere(tmp_path: Path) -> None:
    path = record(tmp_path / "data/sub-1_eeg.edf")
    overwritten(overwritten(path, 8, "X F 02-MAY-1951 Haagse_Harry"), 168, "02.03.02")
    store = stored(folder_of(tmp_path / "data"), tmp_path / "workspace")
    for file in (tmp_path / "workspace").rglob("*"):
        assert not file.is_file() or b"Haagse" not in file.read_bytes()
    assert store.table[0].columns == {"class": "bckg", "classes": "bckg + seiz"}


# ---------------------------------------------------------------- leaks


def test_the_same_segment_is_known_again_in_another_file(tmp_path: Path) -> None:
    record(tmp_path / "data/sub-1_eeg.edf", 3)
    overwritten(record(tmp_path / "data/sub-1_again_eeg.edf", 3), 88, "Startdate X X X another")
    table = stored(folder_of(tmp_path / "data"), tmp_path / "workspace").table
    one, other = (
        [row.sha256 for row in table if row.file == file] for file in ("sub-1_eeg.edf", "sub-1_again_eeg.edf")
    )
    assert one == other
    assert len(set(one)) == 10


def test_one_recording_of_two_patients_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "data/sub-1_eeg.edf", 3)
    record(tmp_path / "data/sub-2_eeg.edf", 4)
    path = tmp_path / "data/sub-3_eeg.edf"
    shutil.copy(tmp_path / "data/sub-1_eeg.edf", path)
    overwritten(path, 8, "Y Y Y Y")
    with pytest.raises(DataError, match="sub-3_eeg.edf and sub-1_eeg.edf: two patients must not have one recording"):
        stored(folder_of(tmp_path / "data"), tmp_path / "workspace")
    store = stored(folder_of(tmp_path / "data", on_bad_subject="exclude"), tmp_path / "other")
    assert {row.subject for row in store.table} == {"sub-1", "sub-2"}


# ---------------------------------------------------------------- what is wrong


def fault_of(spec: SignalsSpec) -> str:
    """The one fault of a listing."""
    found = listed(spec)
    assert len(found.faults) == 1
    assert found.images == ()
    return str(found.faults[0])


def test_a_truncated_recording_is_found_by_its_header(tmp_path: Path) -> None:
    path = record(tmp_path / "sub-1_eeg.edf")
    path.write_bytes(path.read_bytes()[:-100])
    assert fault_of(folder_of(tmp_path)).startswith(
        "sub-1_eeg.edf: the file must hold the records that its header promises"
    )


def test_missing_electrodes_are_named(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf", labels=LABELS[:-2])
    assert "channels of the montage are missing: O1, O2" in fault_of(folder_of(tmp_path))


def test_a_rate_too_low_for_the_band_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf", rate=64)
    told = fault_of(folder_of(tmp_path))
    assert told.startswith("sub-1_eeg.edf (channel 1, 'EEG FP1-REF'): a band up to 35 Hz needs more than 70 samples")
    assert "there are 64" in told
    assert listed(folder_of(tmp_path, band=(0.5, 30.0))).faults == ()


def test_a_unit_that_is_none_of_voltage_is_refused_where_the_montage_needs_it(tmp_path: Path) -> None:
    path = record(tmp_path / "sub-1_eeg.edf", labels=[*LABELS, "SpO2"])
    overwritten(path, 256 + 96 * 21 + 8 * 19, "%       ")
    assert listed(folder_of(tmp_path)).faults == ()
    overwritten(path, 256 + 96 * 21 + 8 * 3, "%       ")
    assert "(channel 4, 'EEG F3-REF'): the unit must be nV, uV, mV or V; the header says '%'" in fault_of(
        folder_of(tmp_path)
    )


def test_overlapping_annotations_are_named_by_their_times(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf", seen=[(0, 40, "bckg"), (30, 30, "seiz")])
    told = fault_of(folder_of(tmp_path))
    assert told.startswith(
        "sub-1_eeg.edf ('bckg', 0 to 40 s and 'seiz', 30 to 60 s): events of two classes must not overlap"
    )


def test_an_event_beyond_the_end_is_refused(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf", seen=[(100, 40, "seiz")])
    assert "(100 to 140 s): an event must end with its recording, at 120 s" in fault_of(folder_of(tmp_path))


def test_labels_without_a_recording_and_recordings_without_labels_are_named(tmp_path: Path) -> None:
    record(tmp_path / "a.edf")
    (tmp_path / "b.csv").write_text("channel,start_time,stop_time,label\nTERM,0,40,bckg\n")
    found = listed(folder_of(tmp_path, events="csv"))
    assert [str(fault).partition(".")[0] + "|" + fault.reason for fault in found.faults] == [
        "b|a label file needs its recording beside it. Copy it there, or remove this one.",
        "a|a recording needs its label file beside it, a.csv. Add it, or say with `events` where events are.",
    ]


def test_a_label_that_no_recording_has_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf")
    with pytest.raises(
        DataError, match="`labels` names 'seizure', which no recording has. Did you mean 'seiz'\\?"
    ) as caught:
        listed(folder_of(tmp_path, labels={"seizure": "yes", "bckg": "no"}))
    assert caught.value.reason == "`labels` names 'seizure', which no recording has. Correct or remove it."


def test_recordings_without_a_segment_are_refused(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf", seen=[(0, 12, "seiz")])
    with pytest.raises(DataError, match="no segment can be cut from any recording. Lower `min_event`"):
        listed(folder_of(tmp_path))


def test_a_file_without_annotations_says_what_to_do(tmp_path: Path) -> None:
    write_by_edfio(tmp_path / "a.edf", list(noise(0, 20)), [250] * 19, LABELS)
    assert "the file has no annotations (it is no EDF+). Say with `events`" in fault_of(folder_of(tmp_path))


def test_patients_and_their_table_must_agree(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf")
    record(tmp_path / "sub-2_eeg.edf")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-1\t31\nsub-3\t42\n")
    found = listed(folder_of(tmp_path))
    assert [fault.place for fault in found.faults] == ["sub-2_eeg.edf", "sub-3"]
    assert {image.subject for image in found.images} == {"sub-1"}


def test_the_table_must_not_have_a_column_of_the_events(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf")
    (tmp_path / "participants.tsv").write_text("participant_id\tclass\nsub-1\tx\n")
    with pytest.raises(DataError, match="participants.tsv: a column must not be called 'class'"):
        listed(folder_of(tmp_path))
    assert listed(folder_of(tmp_path, events="none")).images[0].columns == {"class": "x"}


def test_a_path_without_a_patient_is_a_fault(tmp_path: Path) -> None:
    record(tmp_path / "sub-1_eeg.edf")
    assert "`patient` must match the path of each recording" in fault_of(folder_of(tmp_path, patient=r"p(\d+)"))


def test_other_formats_are_counted_and_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds EDF, EDF\\+ or BDF files; none is there"):
        listed(folder_of(tmp_path))
    record(tmp_path / "sub-1_eeg.edf")
    (tmp_path / "sub-2_eeg.vhdr").touch()
    assert [each.place for each in listed(folder_of(tmp_path)).left_out] == ["sub-2_eeg.vhdr", "sub-1_eeg.edf (1)"]


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        ("flat", "channel 3, 'EEG F7-REF'\\): a channel must vary; every sample is 12.3 uV"),
        ("saturated", "channel 3, 'EEG F7-REF'\\): a channel must not be saturated; 5% of its samples"),
        ("bridged", "10 to 20 s, Fp1-F7\\): a channel must vary; every value is"),
    ],
)
def test_a_bad_electrode_spoils_the_segments_in_which_it_is_bad(spoilt: str, message: str, tmp_path: Path) -> None:
    values = noise(0, 30)
    if spoilt == "flat":
        values[2, 2500:5000] = 12.3
    elif spoilt == "saturated":
        values[2, 3000:3125] = 5000
    else:
        values[2] = values[0]
    (tmp_path / "data").mkdir()
    write_edf(tmp_path / "data/sub-1_eeg.edf", LABELS, values, 250)
    spec = folder_of(tmp_path / "data", events="none")
    with pytest.raises(DataError, match=f"sub-1_eeg.edf \\(.*{message}"):
        stored(spec, tmp_path / "workspace")
    if spoilt != "bridged":
        left = stored(folder_of(tmp_path / "data", events="none", on_bad_subject="exclude"), tmp_path / "workspace")
        assert [float(row.session) for row in left.table] == [0, 20]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"montage": 5}, "a montage is a name or a list of channels; got 5"),
        ({"montage": "tpc"}, "unknown montage 'tpc'. Did you mean 'tcp'\\?"),
        ({"montage": ("Cz", "Cz")}, "lists each channel once"),
        ({"montage": ()}, "and one at least"),
        ({"band": (35.0, 0.5)}, "from a lower to a higher frequency; got \\[35.0, 0.5\\]"),
        ({"segment": 0.13}, "whole number of samples, 16 or more; got 6.5"),
        ({"segment": 20.0}, "`min_event` must be `segment` or more: .* got 15 and 20 s"),
        ({"patient": "sub-\\d+"}, "one group in parentheses"),
        ({"patient": "(sub"}, "`patient` is no regular expression"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=message):
        folder_of(tmp_path, **options)
