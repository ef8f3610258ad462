"""`ctlr check` on data: all that a run would meet one after the other, at once and with lines."""

import gzip
import hashlib
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from clinic import CLINIC, NOISE, participants, subject_id, volume, volume_file, write_clinic
from PIL import Image
from terminal import call

from ctlr.config import load
from ctlr.data.nifti import look_at_volume
from ctlr.data.picture import look_at_picture
from ctlr.errors import DataError
from ctlr.examination import examine
from ctlr.plan import make_plan

BAD = {
    "a pointer": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "nothing": lambda data: b"",
    "a cut file": lambda data: data[: len(data) // 2],
    "a volume of volumes": lambda data: gzip.compress(volume(np.ones((4, 4, 4, 5)))),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_clinic(tmp_path / "clinic")
    (tmp_path / "clinic.yaml").write_text(CLINIC)
    return tmp_path


def test_data_that_are_right_are_ok_and_nothing_is_stored(place: Path) -> None:
    before = sorted(place.rglob("*"))
    finished = call("check", "clinic.yaml", folder=place)
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.endswith("clinic.yaml: ok\n")
    assert sorted(place.rglob("*")) == before


def test_every_fault_of_file_tables_and_images_is_told_at_once_with_its_line(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CLINIC.replace("target: age", "target: aeg").replace("{test: 8}", "{test: 8, stratify: [site], group: ward}")
    (place / "clinic.yaml").write_text(text + "tracking: {backend: mlflow}\n")
    for number, damage in enumerate(BAD.values()):
        path = volume_file(place / "clinic", subject_id(number))
        path.write_bytes(damage(path.read_bytes()))
    volume_file(place / "clinic", subject_id(9)).unlink()
    monkeypatch.setattr("ctlr.examination.find_spec", lambda name: None if name == "mlflow" else find_spec(name))
    finished = call("check", "clinic.yaml", folder=place)
    assert finished.code == 2
    told = finished.err.removeprefix("Error: ").splitlines()
    for number in range(len(BAD)):
        assert sum(f"clinic.yaml:3: datasets.clinic: {subject_id(number)}/anat/" in line for line in told) == 1
    expected = (
        f"clinic.yaml:3: datasets.clinic: {subject_id(9)}: a line of participants.tsv needs an image",
        "clinic.yaml:5: tasks.age.target: Dataset 'clinic' has no column 'aeg' for a task's `target`. Did you mean",
        "clinic.yaml:14: split.stratify: dataset 'clinic' has no column 'site'. Known: age, scan_date, sex.",
        "clinic.yaml:14: split.group: dataset 'clinic' has no column 'ward'. Known: age, scan_date, sex.",
        "clinic.yaml:19: tracking.backend: needs the package 'mlflow', which is not installed. Install it",
    )
    for start in expected:
        assert sum(line.startswith(start) for line in told) == 1, finished.err
    assert len(told) == len(BAD) + len(expected)
    assert call("check", "clinic.yaml", "--no-data", folder=place).code == 0


def test_columns_that_are_learned_beside_a_source_are_looked_at_too(place: Path) -> None:
    rows = participants(place / "clinic")
    scores = ["score", "-9999", "two", "three", *map(str, range(100, 100 + len(rows) - 4))]
    table = ["\t".join([*row, score]) for row, score in zip(rows, scores, strict=True)]
    (place / "clinic/participants.tsv").write_text("\n".join(table) + "\n")
    (place / "clinic.yaml").write_text(CLINIC.replace("supervised: {}", "reptile: {columns: {score: regression}}"))
    finished = call("check", "clinic.yaml", folder=place)
    assert finished.err.startswith(
        "Error: clinic.yaml:10: methods.reptile.columns: Target 'score' of dataset 'clinic' must be a number or n/a "
        f"for a regression; {subject_id(1)!r} (sub-XYZZY01/anat/sub-XYZZY01_T1w.nii.gz) has 'two', "
        f"{subject_id(2)!r} (sub-XYZZY02/anat/sub-XYZZY02_T1w.nii.gz) has 'three'. Correct the cells"
    )
    text = "\n".join(table).replace("two", "98").replace("three", "99")
    (place / "clinic/participants.tsv").write_text(text + "\n")
    planned = call("plan", "clinic.yaml", folder=place)
    assert "clinic.score: 1 image has -9999, which may be a code for unknown. Write n/a if it is." in planned.out


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[4, 6]", "[4, 60]", "clinic.yaml:11: sample_sizes: `sample_sizes` asks for n_train=60 + 60 validation"),
        ("test: 8", "test: 30", "clinic.yaml:14: split.test: `split.test` asks for 30 test subjects"),
    ],
)
def test_a_size_that_does_not_fit_is_told_once_with_the_line_that_asks(
    place: Path, old: str, new: str, says: str
) -> None:
    (place / "clinic.yaml").write_text(CLINIC.replace(old, new).replace("seeds: [0]", "seeds: [0, 1, 2]"))
    finished = call("check", "clinic.yaml", folder=place)
    assert finished.code == 2
    assert finished.err.startswith(f"Error: {says}")
    assert len(finished.err.splitlines()) == 1


def test_a_cell_that_is_no_number_is_named_with_its_subject(place: Path) -> None:
    header, *rows = participants(place / "clinic")
    rows[3][1] = "old"
    (place / "clinic" / "participants.tsv").write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
    finished = call("check", "clinic.yaml", folder=place)
    assert finished.code == 1
    assert "clinic.yaml:5: tasks.age.target: Target 'age' of dataset 'clinic' must be a number" in finished.err
    assert f"{subject_id(3)!r} (" in finished.err


SECOND = CLINIC.replace(
    "tasks:", "  second: {kind: bids, root: clinic, preprocess: {spacing: 24, shape: [16, 16, 16]}}\ntasks:"
)
SECOND = SECOND.replace("source: {data: clinic", "source: {data: second")


def test_people_of_two_datasets_on_two_sides_are_told_before_an_image_is_stored(place: Path) -> None:
    (place / "clinic.yaml").write_text(SECOND)
    told, ran = call("check", "clinic.yaml", folder=place), call("run", "clinic.yaml", folder=place)
    assert (told.code, ran.code) == (1, 1)
    assert "14 pairs of subjects stand on two sides that must share nothing:" in ran.err
    assert told.err.startswith("Error: clinic.yaml:8: transfers: 14 pairs of subjects stand on two sides")
    assert "clinic sub-XYZZY02 (test) and second sub-XYZZY02 (training and pretraining pool): one subject" in told.err
    other = ("--set", "leaks.accept=[[clinic, second]]", "--set", "leaks.copies=null")
    assert call("check", "clinic.yaml", *other, folder=place).code == 0


def test_pseudonyms_that_are_accepted_are_the_runs_affair(place: Path) -> None:
    (place / "clinic.yaml").write_text(SECOND + "leaks: {accept: [[53d70ddf69aa, 53d70ddf69aa]]}\n")
    assert call("check", "clinic.yaml", folder=place).code == 0


def test_a_source_that_repeats_the_target_is_told_before_an_image_is_stored(place: Path) -> None:
    header, *rows = participants(place / "clinic")
    lines = [[*header, "months"], *([*row, f"{12 * float(row[1]):.1f}"] for row in rows)]
    (place / "clinic" / "participants.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))
    text = CLINIC.replace("tasks:", "tasks:\n  months: {target: months, kind: regression}").replace(
        "task: sex}", "task: months}"
    )
    (place / "clinic.yaml").write_text(text)
    finished = call("check", "clinic.yaml", folder=place)
    assert finished.code == 1
    assert "clinic.yaml:8: transfers: Column 'months' of dataset 'clinic' repeats the target 'age'" in finished.err


def test_every_cell_that_is_no_number_is_named(place: Path) -> None:
    header, *rows = participants(place / "clinic")
    for number in range(12):
        rows[number][1] = "old"
    (place / "clinic" / "participants.tsv").write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
    told = call("check", "clinic.yaml", folder=place).err
    assert [subject_id(number) in told for number in range(12)] == [True] * 10 + [False] * 2
    assert "and 2 more. Correct the cells, or set the task's `kind: classification`." in told


def test_images_to_be_repaired_count_among_the_subjects(place: Path) -> None:
    for number in range(15):
        volume_file(place / "clinic", subject_id(number)).write_bytes(b"")
    told = call("check", "clinic.yaml", folder=place)
    assert told.code == 1
    assert "sample_sizes" not in told.err


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"hello", "no weights can be read"), (b"", "no weights can be read"), (None, "must be the file with the sha256")],
)
def test_weights_that_cannot_be_taken_are_told_before_an_image_is_stored(
    content: bytes | None, says: str, place: Path
) -> None:
    (place / "own.pth").write_bytes(content or b"")
    digest = "0" * 64 if content is None else hashlib.sha256(content).hexdigest()
    own = (
        f"methods.own={{method: pretrained, weights: own.pth, sha256: '{digest}', licence: MIT, trained_on: [others]}}"
    )
    finished = call("check", "clinic.yaml", "--set", own, folder=place)
    assert finished.code == 2
    assert finished.err.startswith("Error: ")
    assert says in finished.err
    assert call("check", "clinic.yaml", "--set", own, "--no-data", folder=place).code == 0


def test_a_folder_without_its_table_is_a_fault_of_the_dataset(place: Path) -> None:
    (place / "clinic" / "participants.tsv").unlink()
    finished = call("check", "clinic.yaml", folder=place)
    assert finished.code == 1
    assert finished.err.startswith("Error: clinic.yaml:3: datasets.clinic: participants.tsv: a BIDS folder needs")


def test_images_that_would_be_left_out_are_named_and_do_not_count(place: Path) -> None:
    for number in range(20):
        volume_file(place / "clinic", subject_id(number)).write_bytes(b"")
    sets = ("--set", "datasets.clinic.preprocess.on_bad_subject=exclude")
    finished = call("check", "clinic.yaml", *sets, folder=place)
    assert finished.err.count("datasets.clinic: left out: sub-") == 20
    assert finished.code == 2
    assert "dataset 'clinic' has 10 subjects with target 'age'" in finished.err
    finished = call("check", "clinic.yaml", *sets, "--set", "split.test=2", "--set", "sample_sizes=[4]", folder=place)
    assert finished.code == 0
    assert finished.out.endswith("clinic.yaml: ok\n")


def test_data_of_a_cluster_are_not_looked_for(place: Path) -> None:
    (place / "clinic").rename(place / "away")
    (place / "clinic.yaml").write_text(CLINIC + "platform: {roots: {clinic: studies/clinic}}\n")
    finished = call("check", "clinic.yaml", folder=place)
    assert finished.code == 0
    assert finished.err == "datasets.clinic lies on the cluster's volume and was not looked at.\n"


# ---------------------------------------------------------------- single files


def test_cases_are_counted_and_those_in_two_classes_are_named(tmp_path: Path) -> None:
    for number, file in enumerate(f"{'ab'[case % 2]}/{case}_{patch}.png" for case in range(20) for patch in (1, 2)):
        (tmp_path / "data" / file).parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").rotate(number).save(tmp_path / "data" / file)
    (tmp_path / "data/a/1_3.png").write_bytes((tmp_path / "data/a/2_1.png").read_bytes())
    (tmp_path / "b.yaml").write_text(
        "name: b\ndatasets: {slides: {kind: images, root: data, group: '/([0-9]+)_', preprocess: {shape: [16, 16]}}}\n"
        "tasks: {tumour: {target: class, kind: classification}}\n"
        "transfers: [{target: {data: slides, task: tumour}}]\nencoders: {small_cnn: {}}\nmethods: {scratch: {}}\n"
        "sample_sizes: [4]\nseeds: [0]\n"
    )
    config = load(tmp_path / "b.yaml")
    assert examine(make_plan(config)).notes == [
        "slides, tumour: 20 subjects with 41 images; of each class a 11 (21), b 10 (20).",
        "slides, tumour: 1 of them have images of several classes: '1'. That may be right; if numbers begin anew in "
        "each class, two people pass for one.",
    ]


def test_a_patient_with_events_of_several_classes_is_nothing_to_ask_about(tmp_path: Path) -> None:
    """Recordings hold background and seizures; only what lies in folders of classes may number people anew."""
    assert call("cohort", "ward", "--kind", "eeg", "--subjects", "8", "--minutes", "2", folder=tmp_path).code == 0
    (tmp_path / "b.yaml").write_text(
        "name: b\ndatasets: {ward: {kind: signals, root: ward, max_segments: 1, min_event: 10,\n"
        "  labels: {spike-wave seizure: seizure, theta seizure: seizure, background: background}}}\n"
        "tasks: {activity: {target: class, kind: classification}}\n"
        "transfers: [{target: {data: ward, task: activity}}]\nencoders: {cnn1d: {}}\nmethods: {scratch: {}}\n"
        "sample_sizes: [2]\nseeds: [0]\n"
    )
    config = load(tmp_path / "b.yaml")
    (note,) = examine(make_plan(config)).notes
    assert note.startswith("ward, activity: 8 subjects with ")


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("packed", [True, False])
def test_a_volume_that_cannot_be_read_is_found_by_a_look(tmp_path: Path, name: str, packed: bool) -> None:
    path = tmp_path / "x.nii.gz"
    content = volume(NOISE)
    path.write_bytes(BAD[name](gzip.compress(content) if packed else content))
    with pytest.raises(DataError):
        look_at_volume(path)


@pytest.mark.parametrize("parts", [1, 2])
def test_a_look_takes_gzip_files_in_parts_too(tmp_path: Path, parts: int) -> None:
    content = volume(NOISE)
    step = len(content) // parts + 1
    (tmp_path / "x.nii.gz").write_bytes(
        b"".join(gzip.compress(content[start : start + step]) for start in range(0, len(content), step))
    )
    look_at_volume(tmp_path / "x.nii.gz")


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "webp"])
def test_a_picture_that_is_cut_is_found_by_a_look(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(path)
    look_at_picture(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError):
        look_at_picture(path)


@pytest.mark.parametrize("look", [look_at_volume, look_at_picture])
def test_a_look_waits_for_no_pipe(tmp_path: Path, look: Callable[[Path], None]) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(DataError, match="Is a pipe or a device"):
        look(tmp_path / "x.png")
