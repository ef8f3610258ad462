"""The synthetic electroencephalograms: spectra and topographies are those that were drawn, and the files tell them."""

from __future__ import annotations

import hashlib
from functools import cache
from itertools import pairwise
from pathlib import Path

import edfio
import numpy as np
import pytest
from numpy.typing import NDArray

from ctlr.data.kinds.eeg.growing import write_patients
from ctlr.data.kinds.eeg.synthesis import RATE, Patient, Seen, directions, draw_patient, record
from ctlr.errors import DataError
from ctlr.specs import ELECTRODES

SEED = 4
PATIENTS = [draw_patient(SEED, index) for index in range(40)]
SPIKE = next(patient for patient in PATIENTS if patient.seizure == "spike-wave")
THETA = next(patient for patient in PATIENTS if patient.seizure == "theta")
HZ = np.fft.rfftfreq(4 * RATE, 1 / RATE)

Signals = NDArray[np.float64]


@cache
def recorded(patient: Patient) -> tuple[Signals, tuple[Seen, ...]]:
    return record(patient, SEED, 600)


def parts(patient: Patient, *, within: str, without: tuple[str, ...] = ()) -> Signals:
    """(N, 19, 4 s) of a recording inside of one kind of annotation and outside of others."""
    signals, seen = recorded(patient)

    def inside(text: str) -> NDArray[np.bool_]:
        found = np.zeros(signals.shape[1] // RATE, bool)
        for each in seen:
            if each.text == text:
                found[each.onset : each.onset + each.seconds] = True
        return found

    wanted = inside(within)
    for text in without:
        wanted &= ~inside(text)
    starts = [second for second in range(0, len(wanted) - 3, 4) if wanted[second : second + 4].all()]
    return np.stack([signals[:, start * RATE : (start + 4) * RATE] for start in starts])


def power(pieces: Signals) -> Signals:
    """(19, F) mean periodogram."""
    return np.asarray(np.square(np.abs(np.fft.rfft(pieces * np.hanning(4 * RATE), axis=2))).mean(0))


def at(*names: str) -> list[int]:
    return [ELECTRODES.index(name) for name in names]


def seizure_of(patient: Patient) -> tuple[str, ...]:
    return (f"{patient.seizure} seizure",)


# ---------------------------------------------------------------- spectra


@pytest.mark.parametrize("patient", [SPIKE, THETA], ids=["spike", "theta"])
def test_the_background_falls_with_frequency_as_it_was_drawn(patient: Patient) -> None:
    found = power(parts(patient, within="eyes open", without=seizure_of(patient)))[at("C3")[0]]
    fitted = ((HZ >= 2) & (HZ <= 6)) | ((HZ >= 15) & (HZ <= 20))
    slope = np.polyfit(np.log(HZ[fitted]), np.log(found[fitted]), 1)[0]
    assert slope == pytest.approx(-patient.slope, abs=0.2)


@pytest.mark.parametrize("patient", [SPIKE, THETA], ids=["spike", "theta"])
def test_alpha_stands_at_the_back_while_the_eyes_are_closed(patient: Patient) -> None:
    closed = power(parts(patient, within="eyes closed", without=seizure_of(patient)))
    open_ = power(parts(patient, within="eyes open", without=seizure_of(patient)))
    band = (HZ > 7) & (HZ < 13)
    back = closed[at("O1", "O2")].mean(0)
    assert HZ[band][back[band].argmax()] == pytest.approx(patient.alpha_hz, abs=0.5)
    assert closed[at("O1")[0], band].sum() > 3 * open_[at("O1")[0], band].sum()
    assert closed[at("O1", "O2"), :][:, band].sum() > 5 * closed[at("Fp1", "Fp2"), :][:, band].sum()


def test_mains_are_a_line_at_every_electrode() -> None:
    for patient in (SPIKE, THETA):
        found = power(parts(patient, within="background"))
        line, beside = np.abs(HZ - patient.mains_hz).argmin(), np.abs(HZ - patient.mains_hz - 3).argmin()
        assert (found[:, line] > 5 * found[:, beside]).all()


def test_spikes_and_waves_come_three_a_second_and_slow_down() -> None:
    pieces = parts(SPIKE, within="spike-wave seizure")
    found = power(pieces)
    band = (HZ > 1.5) & (HZ < 12)
    assert HZ[band][found[at("Fz")[0]][band].argmax()] == pytest.approx(3, abs=0.26)
    assert ELECTRODES[np.abs(pieces).mean((0, 2)).argmax()] == "Fz"
    harmonic = np.abs(HZ - 6).argmin()
    assert found[at("Fz")[0], harmonic - 2 : harmonic + 3].max() > 5 * found[at("Fz")[0], harmonic + 6]


def test_theta_begins_over_one_temple_slows_down_grows_and_spreads() -> None:
    signals, seen = recorded(THETA)
    near, far = at("T7", "T8") if THETA.side == "left" else at("T8", "T7")
    first, last = [], []
    for each in seen:
        if each.text == "theta seizure":
            begin, end = each.onset * RATE, (each.onset + each.seconds) * RATE
            first.append(signals[:, begin : begin + 4 * RATE])
            last.append(signals[:, end - 5 * RATE : end - RATE])
    early, late = power(np.stack(first)), power(np.stack(last))
    band = (HZ > 3) & (HZ < 9)
    assert HZ[band][early[near][band].argmax()] == pytest.approx(7.2, abs=0.6)
    assert HZ[band][late[near][band].argmax()] == pytest.approx(4.3, abs=0.6)
    assert late[near][band].sum() > 2 * early[near][band].sum()
    assert late[near][band].sum() > 4 * late[far][band].sum()
    middle = at("Cz")[0]
    assert late[middle][band].sum() > 2 * early[middle][band].sum()


def test_blinks_are_positive_waves_at_the_front() -> None:
    pieces = parts(SPIKE, within="eyes open", without=seizure_of(SPIKE))
    peaks = pieces.max(axis=2)
    blinking = peaks[:, at("Fp1")[0]] > 0.6 * SPIKE.blink
    assert blinking.mean() > 0.2
    assert np.median(peaks[blinking][:, at("Fp1")[0]]) > 2 * np.median(peaks[blinking][:, at("O1")[0]])
    still = parts(SPIKE, within="eyes closed", without=seizure_of(SPIKE)).max(axis=2)[:, at("Fp1")[0]]
    assert (still > 0.6 * SPIKE.blink).mean() < 0.1


def test_muscle_is_heard_at_the_temples() -> None:
    tense = max(PATIENTS, key=lambda patient: patient.muscle)
    found = power(parts(tense, within="background"))
    band = (HZ > 62) & (HZ < 95)
    assert found[at("T7", "T8"), :][:, band].mean() > 2 * found[at("Cz", "Pz"), :][:, band].mean()


def test_electrodes_lie_where_the_ten_twenty_system_puts_them() -> None:
    places = dict(zip(ELECTRODES, directions(), strict=True))
    np.testing.assert_allclose(np.linalg.norm(list(places.values()), axis=1), 1)
    np.testing.assert_allclose(places["Cz"], [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(places["T8"], [1, 0, 0], atol=1e-9)
    for left, right in (("Fp1", "Fp2"), ("F3", "F4"), ("C3", "C4"), ("P7", "P8"), ("O1", "O2")):
        np.testing.assert_allclose(places[left], places[right] * [-1, 1, 1], atol=1e-9)
    assert places["Fp1"][1] > places["F3"][1] > places["C3"][1] > places["P3"][1] > places["O1"][1]


# ---------------------------------------------------------------- patients


def test_patients_differ_and_age_slows_alpha_down() -> None:
    ages, alpha = np.array([patient.age for patient in PATIENTS]), np.array([patient.alpha_hz for patient in PATIENTS])
    assert {patient.seizure for patient in PATIENTS} == {"spike-wave", "theta"}
    assert {patient.mains_hz for patient in PATIENTS} == {50, 60}
    assert (ages >= 20).all()
    assert (ages <= 80).all()
    assert np.corrcoef(ages, alpha)[0, 1] < -0.5


def test_a_patient_depends_on_seed_and_number_alone() -> None:
    assert draw_patient(SEED, 7) == PATIENTS[7] != draw_patient(SEED + 1, 7)
    one, seen = record(PATIENTS[7], SEED, 120)
    other, again = record(PATIENTS[7], SEED, 120)
    np.testing.assert_array_equal(one, other)
    assert seen == again


def test_a_recording_is_annotated_from_beginning_to_end() -> None:
    _, seen = recorded(THETA)
    rest = sorted((each.onset, each.onset + each.seconds) for each in seen if not each.text.startswith("eyes"))
    assert rest[0][0] == 0
    assert rest[-1][1] == 600
    assert all(stop == start for (_, stop), (start, _) in pairwise(rest))
    seizures = [each for each in seen if each.text == "theta seizure"]
    assert len(seizures) == 5
    assert all(20 <= each.seconds <= 40 for each in seizures)


# ---------------------------------------------------------------- files


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_the_same_files_are_written_by_any_number_of_workers_and_beside_anybody(tmp_path: Path) -> None:
    for name, patients, workers in (("a", 3, 1), ("b", 3, 3), ("c", 2, 2)):
        write_patients(tmp_path / name, patients=patients, seed=SEED, minutes=2, workers=workers)
    a, b, c = (digests(tmp_path / name) for name in "abc")
    assert a == b
    edf = {name: digest for name, digest in a.items() if name.endswith(".edf")}
    assert {name: digest for name, digest in c.items() if name.endswith(".edf")} == dict(list(edf.items())[:2])
    assert list(edf) == [f"sub-000{n}/eeg/sub-000{n}_task-synthetic_eeg.edf" for n in (1, 2, 3)]


def test_another_reader_finds_the_signals_and_what_was_seen(tmp_path: Path) -> None:
    write_patients(tmp_path / "a", patients=1, seed=SEED, minutes=2)
    found = edfio.read_edf(tmp_path / "a/sub-0001/eeg/sub-0001_task-synthetic_eeg.edf")
    signals, seen = record(PATIENTS[0], SEED, 120)
    assert [signal.label for signal in found.signals] == [f"EEG {name}-REF" for name in ELECTRODES]
    np.testing.assert_allclose(np.stack([signal.data for signal in found.signals]), signals, atol=0.051)
    told = {(each.onset, each.duration, each.text) for each in found.annotations}
    assert told == {(each.onset, each.seconds, each.text) for each in seen}
    assert (tmp_path / "a/participants.tsv").read_text().splitlines() == [
        "participant_id\tage\tseizure\tmains",
        f"sub-0001\t{PATIENTS[0].age:g}\t{PATIENTS[0].seizure}\t{PATIENTS[0].mains_hz}",
    ]
    assert "Synthetic" in (tmp_path / "a/README").read_text()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(DataError, match="holds mine"):
        write_patients(tmp_path, patients=1, seed=0, minutes=2)
