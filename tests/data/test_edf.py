"""EDF, EDF+ and BDF files are read as another implementation reads them, and what is wrong with one is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import edfio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recordings import overwritten, with_gaps, write_by_edfio

from ctlr.data.kinds.signals.edf import read_recording
from ctlr.data.kinds.signals.writing import write_edf
from ctlr.errors import DataError

RNG = np.random.default_rng(0)
TWO = (RNG.normal(0, 50, 2560), RNG.normal(0, 50, 1000))


def two_rates(folder: Path, name: str = "a.edf") -> Path:
    path = folder / name
    seen = [(0.0, None, "start"), (2.5, 3.0, "Anfall, fokal (µ)"), (2.5, 1.0, "blink")]
    write_by_edfio(path, TWO, (256, 100), ("EEG FP1-REF", "T3"), units=("uV", "mV"), annotations=seen)
    return path


def ours(folder: Path, seconds: int = 20, rate: int = 100, name: str = "ours.edf") -> Path:
    path = folder / name
    values = np.random.default_rng(1).normal(0, 50, (2, seconds * rate))
    write_edf(path, ["EEG FP1-REF", "EEG F7-REF"], values, rate, [(3, 4.5, "seizure"), (12, 2, "blink")])
    return path


@pytest.mark.parametrize("name", ["a.edf", "a.bdf"])
def test_samples_and_annotations_are_those_that_another_reader_finds(name: str, tmp_path: Path) -> None:
    path = two_rates(tmp_path, name)
    recording = read_recording(path)
    other = (edfio.read_edf if name == "a.edf" else edfio.read_bdf)(path)
    assert [recording.rate(channel) for channel in recording.signals] == [256, 100]
    for channel, signal, scale in zip(recording.signals, other.signals, (1.0, 1000.0), strict=True):
        gain, offset = channel.microvolts
        raw = recording.read([channel], 0, recording.records)[0]
        np.testing.assert_array_equal(raw, signal.digital)
        np.testing.assert_allclose(gain * raw + offset, scale * signal.data, rtol=1e-9, atol=1e-9)
        assert channel.digital == (signal.digital_min, signal.digital_max)
    assert [(float(onset), float(seconds), text) for onset, seconds, text in recording.annotations] == [
        (each.onset, each.duration or 0, each.text)
        for each in sorted(other.annotations, key=lambda e: (e.onset, e.duration or 0))
    ]


def test_what_we_write_another_reader_reads(tmp_path: Path) -> None:
    other = edfio.read_edf(ours(tmp_path))
    values = np.random.default_rng(1).normal(0, 50, (2, 2000))
    assert [signal.label for signal in other.signals] == ["EEG FP1-REF", "EEG F7-REF"]
    for signal, wanted in zip(other.signals, values, strict=True):
        np.testing.assert_allclose(signal.data, wanted, atol=0.0501)
    assert [(each.onset, each.duration, each.text) for each in other.annotations] == [
        (3, 4.5, "seizure"),
        (12, 2, "blink"),
    ]
    assert other.local_patient_identification == "X X X X"


def test_a_part_is_read_without_the_rest(tmp_path: Path) -> None:
    recording = read_recording(ours(tmp_path))
    whole = recording.read(recording.signals, 0, 20)
    assert whole.shape == (2, 2000)
    np.testing.assert_array_equal(recording.read(recording.signals, 7, 3), whole[:, 700:1000])
    np.testing.assert_array_equal(recording.read(recording.signals[1:], 7, 3), whole[1:, 700:1000])


def test_records_of_a_tenth_of_a_second_give_the_same_rate(tmp_path: Path) -> None:
    write_by_edfio(tmp_path / "a.edf", [TWO[1]], [100], ["Cz"], seconds=0.1)
    recording = read_recording(tmp_path / "a.edf")
    assert (recording.seconds, recording.rate(recording.signals[0]), recording.records) == (Fraction(1, 10), 100, 100)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    seen=st.lists(
        st.tuples(
            st.integers(0, 19),
            st.integers(1, 10_000).map(lambda n: n / 100),
            st.text(st.characters(exclude_characters="\x14\x15\0", exclude_categories=("Cs", "Cc", "Z"))),
        ),
        max_size=30,
    )
)
def test_annotations_come_back_as_they_were_written(seen: list[tuple[float, float, str]], tmp_path: Path) -> None:
    write_edf(tmp_path / "a.edf", ["Cz"], np.zeros((1, 200)), 10, seen)
    found = read_recording(tmp_path / "a.edf").annotations
    assert sorted((float(f"{a:g}"), float(f"{b:g}"), text) for a, b, text in seen if text) == [
        (float(onset), float(seconds), text) for onset, seconds, text in found
    ]


def test_the_same_is_written_each_time_and_nobody_is_named(tmp_path: Path) -> None:
    one, other = ours(tmp_path, name="1.edf").read_bytes(), ours(tmp_path, name="2.edf").read_bytes()
    assert one == other
    assert one[8:88].split() == [b"X"] * 4
    assert one[168:184] == b"01.01.8500.00.00"


# ---------------------------------------------------------------- gaps


def test_gaps_divide_a_discontinuous_recording(tmp_path: Path) -> None:
    recording = read_recording(with_gaps(ours(tmp_path), gaps=[5, 12]))
    assert recording.gaps
    assert [(float(s.onset), s.first, s.records) for s in recording.stretches] == [(0, 0, 5), (65, 5, 7), (132, 12, 8)]
    assert [float(each.onset) for each in recording.annotations] == [3, 12]
    assert [(s.first, s.records) for s in read_recording(ours(tmp_path, name="b.edf")).stretches] == [(0, 20)]


def test_records_that_overlap_in_time_are_refused(tmp_path: Path) -> None:
    path = ours(tmp_path)
    data = path.read_bytes().replace(b"EDF+C", b"EDF+D", 1).replace(b"+7\x14\x14", b"+3\x14\x14")
    path.write_bytes(data)
    with pytest.raises(DataError, match="some overlap"):
        _ = read_recording(path).stretches


# ---------------------------------------------------------------- what is wrong

SIGNAL = 256  # where the fields of two channels and the annotations begin: 3 of each


@pytest.mark.parametrize(
    ("at", "text", "message"),
    [
        (0, "1       ", "an EDF, EDF\\+ or BDF file is needed"),
        (184, "1000    ", "header of 3 channels takes 1024 bytes; it says 1000"),
        (236, "21      ", "it holds 20 records, and the header says 21"),
        (236, "ten     ", "number of records must be a whole number; the header says 'ten'"),
        (244, "0       ", "record must last longer than 0 s"),
        (244, "1s      ", "must be a number of seconds; it is '1s'"),
        (252, "0   ", "1 to 4096 channels; the header says 0"),
        (252, "9999", "1 to 4096 channels; the header says 9999"),
        (SIGNAL + 3, b"\xe9", "plain text \\(ASCII\\); the label of channel 1 is 'EEGéFP1-REF'"),
        (SIGNAL + 216 * 3, "none    ", "1 sample in a record at least; the header says 'none'"),
    ],
)
def test_a_wrong_header_is_refused_with_the_value(at: int, text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_recording(overwritten(ours(tmp_path), at, text))


@pytest.mark.parametrize("missing", [1, 500, 5000])
def test_a_truncated_recording_is_refused(missing: int, tmp_path: Path) -> None:
    path = ours(tmp_path)
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(DataError, match="bytes of another, and the header says 20"):
        read_recording(path)


def test_a_number_of_records_that_was_left_open_is_read_off_the_size(tmp_path: Path) -> None:
    assert read_recording(overwritten(ours(tmp_path), 236, "-1      ")).records == 20


@pytest.mark.parametrize("size", [0, 100, 300])
def test_a_file_of_a_few_bytes_is_refused(size: int, tmp_path: Path) -> None:
    path = ours(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError):
        read_recording(path)


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        (96, "mmHg    ", "unit must be nV, uV, mV or V; the header says 'mmHg'"),
        (104, "3276.7  ", "physical minimum and maximum must differ; the header says 3276.7"),
        (112, "much    ", "physical minimum and maximum must be numbers; the header says 'much'"),
        (120, "32767   ", "digital minimum must be below the digital maximum; the header says 32767 and 32767"),
    ],
)
def test_a_channel_that_cannot_be_scaled_is_refused_where_it_is_used(
    field: int, text: str, message: str, tmp_path: Path
) -> None:
    recording = read_recording(overwritten(ours(tmp_path), SIGNAL + field * 3 + 8, text))
    assert recording.signals[0].microvolts[0] == pytest.approx(0.1)
    with pytest.raises(DataError, match=message) as caught:
        _ = recording.signals[1].microvolts
    assert caught.value.place == "channel 2, 'EEG F7-REF'"


@pytest.mark.parametrize("sign", [b"\xb5V      ", "µV".encode() + b"     "])
def test_the_micro_sign_is_read_however_it_was_written(sign: bytes, tmp_path: Path) -> None:
    recording = read_recording(overwritten(ours(tmp_path), SIGNAL + 96 * 3, sign))
    assert recording.signals[0].microvolts[0] == pytest.approx(0.1)


def test_who_was_recorded_is_never_told(tmp_path: Path) -> None:
    path = overwritten(ours(tmp_path), 8, "MCH-0234567 F 02-MAY-1951 Haagse_Harry")
    recording = read_recording(overwritten(path, 88, "Startdate 02-MAR-2002 EMG561 BK/JOP Sony"))
    assert "Haagse" not in repr(recording)
    assert "2002" not in repr(recording)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError) as caught:
        read_recording(path)
    assert "Haagse" not in f"{caught.value} {caught.value.reason} {caught.value.place}"


def test_a_recording_is_known_again_under_another_patient(tmp_path: Path) -> None:
    one, other = ours(tmp_path, name="1.edf"), overwritten(ours(tmp_path, name="2.edf"), 8, "Y Y Y Y")
    assert read_recording(one).digest() == read_recording(other).digest()
    assert read_recording(one).digest() != read_recording(overwritten(other, 2000, "zz")).digest()
