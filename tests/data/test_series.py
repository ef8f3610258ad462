"""Series of the UEA and aeon archives are read as they are written, and what is wrong with one is said by its line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctlr.data.preprocess import preprocess
from ctlr.data.reader import reader_of
from ctlr.data.store import ArrayStore
from ctlr.errors import DataError
from ctlr.specs import SeriesPreprocess, SeriesSpec
from ctlr.workspace import Workspace

HEADER = "#About the set\n@problemName Waves\n@timeStamps false\n@univariate false\n@classLabel true up down\n@data\n"


def text(series: list[tuple[list[list[float]], str]]) -> str:
    lines = [":".join([*(",".join(map(repr, channel)) for channel in channels), label]) for channels, label in series]
    return HEADER + "\n".join(lines) + "\n"


def drawn(seed: int, labels: str) -> list[tuple[list[list[float]], str]]:
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(2, 16)).tolist(), {"u": "up", "d": "down"}[label]) for label in labels]


def written(folder: Path, train: str | None = None, test: str | None = None, **options: object) -> SeriesSpec:
    (folder / "Waves_TRAIN.ts").write_text(train or text(drawn(0, "udud")))
    (folder / "Waves_TEST.ts").write_text(test or text(drawn(1, "ud")))
    given = {"normalise": "none", "dtype": "float32"} | options
    return SeriesSpec(root=str(folder), preprocess=SeriesPreprocess.model_validate({"shape": (2, 16), **given}))


def test_the_sides_and_classes_of_a_set_are_kept(tmp_path: Path) -> None:
    images = reader_of(written(tmp_path)).listing()
    assert images is not None
    assert [(image.subject, image.columns["split"], image.columns["class"]) for image in images.images] == [
        ("train-00001", "train", "up"), ("train-00002", "train", "down"), ("train-00003", "train", "up"),
        ("train-00004", "train", "down"), ("test-00001", "test", "up"), ("test-00002", "test", "down"),
    ]  # fmt: skip


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    numbers=st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32), min_size=32, max_size=32), min_size=1, max_size=4, unique_by=tuple
    )
)
def test_the_numbers_come_back_as_they_were_written(numbers: list[list[float]], tmp_path: Path) -> None:
    train = text([([row[:16], row[16:]], "up") for row in numbers])
    spec = written(tmp_path, train)
    workspace = Workspace(tmp_path / "workspace")
    store = ArrayStore(preprocess(spec, workspace), workspace)
    found = store.read(range(len(numbers)))
    np.testing.assert_array_equal(found, np.array(numbers, np.float32).reshape(-1, 2, 16))


def test_each_channel_is_scaled_by_its_own_quartiles(tmp_path: Path) -> None:
    spec = written(tmp_path, normalise="robust")
    workspace = Workspace(tmp_path / "workspace")
    found = ArrayStore(preprocess(spec, workspace), workspace).read([0, 1])
    low, middle, high = np.quantile(found, [0.25, 0.5, 0.75], axis=2)
    np.testing.assert_allclose(middle, 0, atol=1e-6)
    np.testing.assert_allclose(high - low, 1.349, rtol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "place", "message"),
    [
        ("0.1,?,", "Waves_TRAIN.ts, line 7, channel 1", "every value must be a number; one is '\\?'"),
        ("0.1,NaN,", "Waves_TRAIN.ts, line 7, channel 1", "one is 'NaN'"),
        ("-inf,0.1,", "Waves_TRAIN.ts, line 7, channel 1", "one is '-inf'"),
        ("0.1,", "Waves_TRAIN.ts, line 7, channel 1", "needs the 16 values of `preprocess.shape`; it has 15"),
        ("0.1,0.1,0.1,", "Waves_TRAIN.ts, line 7, channel 1", "it has 17"),
        ("0.1,0.1:", "Waves_TRAIN.ts, line 7", "needs the 2 channels of `preprocess.shape`; it has 3"),
    ],
)
def test_a_wrong_series_is_named_by_its_line_before_anything_is_read(
    wrong: str, place: str, message: str, tmp_path: Path
) -> None:
    lines = text(drawn(0, "udud")).splitlines()
    lines[6] = wrong + lines[6].split(",", 2)[2]
    listing = reader_of(written(tmp_path, "\n".join(lines))).listing()
    assert listing is not None
    assert [fault.place for fault in listing.faults] == [place]
    assert re.search(message, listing.faults[0].reason)
    assert len(listing.images) == 5


def test_a_series_without_a_label_or_with_an_unknown_one_is_named(tmp_path: Path) -> None:
    lines = text(drawn(0, "udud")).splitlines()
    lines[7] = lines[7].rpartition(":")[0]
    lines[8] = lines[8].replace(":up", ":sideways")
    listing = reader_of(written(tmp_path, "\n".join(lines))).listing()
    assert listing is not None
    assert [fault.place for fault in listing.faults] == ["Waves_TRAIN.ts, line 8", "Waves_TRAIN.ts, line 9"]
    assert all("one of the labels that the header's `@classLabel` names" in fault.reason for fault in listing.faults)


def test_a_series_that_stands_in_a_file_twice_is_kept_once(tmp_path: Path) -> None:
    lines = text(drawn(0, "udud")).splitlines()
    listing = reader_of(written(tmp_path, "\n".join([*lines, lines[6]]))).listing()
    assert listing is not None
    assert len(listing.images) == 6
    assert [each.place for each in listing.left_out] == ["Waves_TRAIN.ts, line 11"]


def test_a_training_series_that_stands_among_those_that_test_is_a_fault(tmp_path: Path) -> None:
    lines = text(drawn(0, "udud")).splitlines()
    spec = written(tmp_path, "\n".join(lines))
    test = tmp_path / "Waves_TEST.ts"
    test.write_text("\n".join([*test.read_text().splitlines(), lines[7]]) + "\n")
    listing = reader_of(spec).listing()
    assert listing is not None
    (fault,) = listing.faults
    assert fault.place == "Waves_TRAIN.ts, line 8"
    assert f"among those that test, in line {len(test.read_text().splitlines())}" in fault.reason
    sides = [image.columns["split"] for image in listing.images]
    assert sides == ["train"] * 3 + ["test"] * (len(sides) - 3)


def test_text_among_the_numbers_is_named_when_it_is_read(tmp_path: Path) -> None:
    lines = text(drawn(0, "udud")).splitlines()
    lines[6] = "word," + lines[6].split(",", 1)[1]
    with pytest.raises(DataError, match="Waves_TRAIN.ts \\(line 7\\): every value must be a number: .*'word'"):
        preprocess(written(tmp_path, "\n".join(lines)), Workspace(tmp_path / "workspace"))


def test_a_channel_that_mostly_stands_still_is_scaled_by_its_standard_deviation(tmp_path: Path) -> None:
    still = [0.0] * 13 + [3.0, 4.0, 5.0]
    spec = written(tmp_path, text([([still, list(map(float, range(16)))], "up"), *drawn(3, "d")]), normalise="robust")
    workspace = Workspace(tmp_path / "workspace")
    found = ArrayStore(preprocess(spec, workspace), workspace).read([0])[0, 0]
    np.testing.assert_allclose(found, np.array(still) / np.std(still), rtol=1e-3)


def test_a_flat_channel_is_named_when_it_is_read(tmp_path: Path) -> None:
    flat = text([([[1.0] * 16, list(map(float, range(16)))], "up"), *drawn(3, "d")])
    with pytest.raises(DataError, match="line 7, channel 1\\): a channel must vary"):
        preprocess(written(tmp_path, flat, normalise="robust"), Workspace(tmp_path / "workspace"))


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            HEADER.replace("@classLabel true up down", "@classLabel false") + "1,2:up\n",
            "`@classLabel true` and the labels",
        ),
        (HEADER.replace("@timeStamps false", "@timeStamps true"), "series with time stamps are not read"),
        (HEADER.replace("@data\n", ""), "a line `@data` is needed"),
    ],
)
def test_a_wrong_header_is_refused(train: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        reader_of(written(tmp_path, train)).listing()
    assert caught.value.place == "Waves_TRAIN.ts"


def test_one_set_is_chosen_among_several(tmp_path: Path) -> None:
    spec = written(tmp_path)
    for side in ("TRAIN", "TEST"):
        (tmp_path / f"Noise_{side}.ts").write_text(text(drawn(5, "u")))
    with pytest.raises(DataError, match="holds several sets; `set` chooses one. Known: Noise, Waves"):
        reader_of(spec).listing()
    with pytest.raises(DataError, match="no set 'Wave'. Did you mean 'Waves'"):
        reader_of(spec.model_copy(update={"set": "Wave"})).listing()
    chosen = reader_of(spec.model_copy(update={"set": "Waves"})).listing()
    assert chosen is not None
    assert len(chosen.images) == 6


def test_both_files_of_a_set_are_needed(tmp_path: Path) -> None:
    spec = written(tmp_path)
    (tmp_path / "Waves_TEST.ts").unlink()
    with pytest.raises(DataError, match=r"Waves_TEST\.ts: a set needs both its files"):
        reader_of(spec).listing()
    (tmp_path / "Waves_TRAIN.ts").unlink()
    with pytest.raises(DataError, match="none is there"):
        reader_of(spec).listing()
