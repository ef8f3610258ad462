"""What users hand over and should not, and what they read then."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from clinic import (
    CLINIC,
    NOISE,
    PEOPLE,
    WITH_A_HOLE,
    crafted,
    participants,
    subject_id,
    volume,
    volume_file,
    write_clinic,
)
from plain_manifest import PROGRAM
from terminal import Finished, Running, call, ctlr

from ctlr.workspace import Workspace

VICTIM = subject_id(3)
IMAGE = f"{VICTIM}/anat/{VICTIM}_T1w.nii.gz"


class Case(NamedTuple):
    """A fault, and what the message has to say: place, rule, value, remedy."""

    breaks: Callable[[Path], object]
    code: int
    says: tuple[str, ...]


# ---------------------------------------------------------------- faults of the benchmark file


def edit(old: str, new: str) -> Callable[[Path], object]:
    """Replace text of the benchmark file."""

    def change(folder: Path) -> None:
        text = (folder / "clinic.yaml").read_text()
        assert old in text
        (folder / "clinic.yaml").write_text(text.replace(old, new))

    return change


FILE = {
    "unknown key": Case(edit("batch_size: 8", "batchsize: 8"), 2,
        ("clinic.yaml:17: training.finetune.batchsize: unknown key", "Did you mean 'batch_size'?", "Known: ")),
    "unknown section": Case(edit("split: {test: 8}", "splits: {test: 8}"), 2,
        ("clinic.yaml:14: splits: unknown key", "Did you mean 'split'?")),
    "unknown method": Case(edit("supervised: {}", "suprvised: {}"), 2,
        ("clinic.yaml:10: methods.suprvised: unknown method 'suprvised'", "Did you mean 'supervised'?", "Known: ")),
    "unknown encoder": Case(edit("small_cnn: {}", "smal_cnn: {}"), 2,
        ("clinic.yaml:9: encoders.smal_cnn: unknown encoder 'smal_cnn'", "Did you mean 'small_cnn'?")),
    "unknown task": Case(edit("task: sex}", "task: sx}"), 2,
        ("clinic.yaml:8: transfers.0.source.task: unknown task 'sx'", "Did you mean 'sex'?")),
    "wrong type": Case(edit("pretrain: {epochs: 2}", "pretrain: {epochs: two}"), 2,
        ("clinic.yaml:16: training.pretrain.epochs: must be a whole number; got 'two'",)),
    "empty grid": Case(edit("sample_sizes: [4, 6]", "sample_sizes: []"), 2,
        ("clinic.yaml:11: sample_sizes: must have at least 1 item; got an empty list",)),
    "no method": Case(edit("methods: {scratch: {}, supervised: {}}", "methods: {}"), 2,
        ("clinic.yaml:10: methods: must have at least one entry", "the grid is empty")),
    "no folder": Case(edit("root: clinic", "root: clinik"), 2,
        ("clinic.yaml:3: datasets.clinic.root: there is no folder 'clinik'", "Relative ones start at this file")),
    "no YAML": Case(edit("name: clinic", "name: [clinic"), 2, ("clinic.yaml:2: no valid YAML", "Check indentation")),
}  # fmt: skip


# ---------------------------------------------------------------- faults of the dataset


def table(change: Callable[[int, dict[str, str]], object]) -> Callable[[Path], object]:
    """Change the cells of each line of participants.tsv."""

    def rewrite(folder: Path) -> None:
        header, *rows = participants(folder / "clinic")
        people = [dict(zip(header, row, strict=True)) for row in rows]
        for number, cells in enumerate(people):
            change(number, cells)
        lines = [header, *([cells[name] for name in header] for cells in people)]
        (folder / "clinic" / "participants.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))

    return rewrite


def image(content: bytes | Callable[[bytes], bytes]) -> Callable[[Path], object]:
    """Replace the victim's image by a gzip file of this content, or by what the file's own bytes become."""

    def write(folder: Path) -> None:
        path = volume_file(folder / "clinic", VICTIM)
        path.write_bytes(content(path.read_bytes()) if callable(content) else gzip.compress(content))

    return write


def link_out(folder: Path) -> None:
    path = volume_file(folder / "clinic", VICTIM)
    path.rename(folder / "elsewhere.nii.gz")
    path.symlink_to(folder / "elsewhere.nii.gz")


def remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "clinic" / name).unlink()


TABLE = {
    "no participants.tsv": Case(remove("participants.tsv"), 1,
        ("participants.tsv: a BIDS folder needs this table", "'clinic' has none", "Add it")),
    "target column missing": Case(edit("target: age", "target: aeg"), 2,
        ("Dataset 'clinic' has no column 'aeg'", "Did you mean 'age'? Known: age, scan_date, sex.")),
    "target column half empty": Case(table(lambda number, cells: number < 16 and cells.update(age="n/a")), 1,
        ("Target 'age' of dataset 'clinic'", "at least half", "16 of 30 cells are empty", "Fill them in")),
    "text in a numeric target": Case(table(lambda number, cells: number == 3 and cells.update(age="old")), 1,
        ("Target 'age' of dataset 'clinic' must be a number or n/a", VICTIM, "has 'old'", "Correct the cell")),
    "one class only": Case(table(lambda number, cells: cells.update(sex="F")), 1,
        ("Target 'sex' of dataset 'clinic' must have two classes", "'F' is the only one", "Choose another target")),
    "n larger than the cohort": Case(edit("[4, 6]", "[4, 60]"), 2,
        ("`sample_sizes` asks for n_train=60", "'clinic' has 30 subjects", "at most 11 can be trained on", "Lower")),
    "test set as large as the cohort": Case(edit("test: 8", "test: 30"), 2,
        ("`split.test` asks for 30", "'clinic' has 30", "Lower it")),
}  # fmt: skip

IMAGES = {
    "subject without image": Case(remove(IMAGE), 1,
        (f"{VICTIM}: a line of participants.tsv needs an image", "Add it, remove the line")),
    "truncated gzip": Case(image(lambda data: data[: len(data) // 2]), 1,
        (f"{IMAGE}: the file is truncated: 13440 bytes of voxels", "Copy or convert it again")),
    "empty file": Case(image(lambda data: b""), 1,
        (f"{IMAGE}: the file is empty (0 bytes)", "Copy, fetch or export it again")),
    "content that was not fetched": Case(image(lambda data: b"/annex/objects/MD5E-s3--01.nii.gz\n"), 1,
        (f"{IMAGE}: git-annex has not fetched the content of this file", "Run `datalad get`")),
    "4-D": Case(image(volume(np.ones((4, 4, 4, 5)))), 1,
        (f"{IMAGE}: one volume of three axes is needed", "[4, 4, 4, 4, 5, 1, 1, 1]", "Keep one volume of a series")),
    "NaN voxels": Case(image(volume(WITH_A_HOLE)), 1,
        (f"{IMAGE}: every voxel must be finite; 1 of 512 are NaN", "Set them to 0")),
    "zero affine": Case(image(volume(NOISE, np.diag([0, 0, 0, 1]))), 1,
        (f"{IMAGE}: the affine must be finite and invertible; got [0 0 0 0; 0 0 0 0; 0 0 0 0]", "Restore sform")),
    "singular affine": Case(image(volume(NOISE, np.array([[3, 3, 0, 0], [3, 3, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]))), 1,
        (f"{IMAGE}: the affine must be finite and invertible; got [3 3 0 0; 3 3 0 0; 0 0 3 0]", "convert it again")),
    "100 GB claimed": Case(image(crafted(lambda header: header.set_data_shape((3000, 3000, 2800)), NOISE)), 1,
        (f"{IMAGE}: the header claims 3000 x 3000 x 2800 voxels of float32 (101 GB)", "1.07 GB at most", "repair")),
    "link out of the folder": Case(link_out, 1,
        (f"{IMAGE}: a link must not point out of the dataset's folder", "Copy its target here")),
}  # fmt: skip


# ---------------------------------------------------------------- what is tried


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a benchmark, its dataset, and a workspace in which all of it is finished."""
    folder = tmp_path_factory.mktemp("bad-input")
    write_clinic(folder / "clinic")
    (folder / "clinic.yaml").write_text(CLINIC)
    return folder


@pytest.fixture(scope="module")
def second(place: Path) -> Finished:
    """A run on a workspace where another one, which then goes on to its end, is under way."""
    with Running("run", "clinic.yaml", "--workers", "1", folder=place) as run:
        run.wait_for(lambda: (place / "workspace" / "arrays").exists())
        refused = call("run", "clinic.yaml", folder=place)
        assert f"(process {run.process.pid} on " in refused.err
        assert run.finish().code == 0
    return refused


@pytest.fixture
def own(place: Path, second: Finished, tmp_path: Path) -> Path:
    """The same folder for a test to break; the workspace is the common one."""
    shutil.copytree(place / "clinic", tmp_path / "clinic")
    shutil.copy(place / "clinic.yaml", tmp_path)
    (tmp_path / "workspace").symlink_to(place / "workspace")
    return tmp_path


def finished_steps(workspace: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in workspace.glob("*/*/*.json")}


def check_refusal(case: Case, folder: Path) -> None:
    """The benchmark is refused as the case says, and what was computed before stays."""
    before = finished_steps(folder / "workspace")
    case.breaks(folder)
    finished = call("run", "clinic.yaml", folder=folder)
    assert finished.code == case.code
    assert finished.out == ""
    assert "Error: " in finished.err
    for part in case.says:
        assert part in finished.err
    assert before
    assert before.items() <= finished_steps(folder / "workspace").items()


@pytest.mark.parametrize("name", FILE)
def test_a_fault_of_the_file_is_named_with_its_line(name: str, own: Path) -> None:
    check_refusal(FILE[name], own)


@pytest.mark.parametrize("name", TABLE)
def test_a_target_that_cannot_be_used_stops_the_run(name: str, own: Path) -> None:
    check_refusal(TABLE[name], own)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_that_cannot_be_used_stops_the_run_and_says_how_to_go_on_without(name: str, own: Path) -> None:
    check_refusal(IMAGES[name], own)
    again = call("run", "clinic.yaml", folder=own)
    assert "Repair them, or set `on_bad_subject: exclude`." in again.err


def test_faults_of_several_images_are_told_at_once(own: Path) -> None:
    volume_file(own / "clinic", subject_id(1)).unlink()
    volume_file(own / "clinic", subject_id(2)).write_bytes(b"")
    finished = call("run", "clinic.yaml", folder=own)
    assert "2 subjects or images cannot be used" in finished.err
    assert subject_id(1) in finished.err
    assert subject_id(2) in finished.err


def test_a_file_without_the_right_to_read_it_is_named(own: Path) -> None:
    path = volume_file(own / "clinic", VICTIM)
    path.chmod(0)
    finished = ctlr("run", "clinic.yaml", folder=own, before=without_roots_rights())
    assert finished.code == 1
    assert f"{IMAGE}: the file cannot be read: Permission denied. Grant read access." in finished.err


def without_roots_rights() -> tuple[str, ...]:
    """What takes from root the right to read and write everything."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root reads everything, and there is no setpriv to take that away")
    return ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


def test_a_workspace_without_the_right_to_write_it_is_named(own: Path) -> None:
    (own / "mine").mkdir(mode=0o500)
    finished = ctlr("run", "clinic.yaml", "-w", "mine", folder=own, before=without_roots_rights())
    assert finished.code == 1
    assert "mine cannot be written. Grant write access, or name another folder." in finished.err


def test_with_no_image_left_even_exclusion_stops(own: Path) -> None:
    for path in (own / "clinic").rglob("*.nii.gz"):
        path.write_bytes(b"")
    finished = call("run", "clinic.yaml", "--set", "datasets.clinic.preprocess.on_bad_subject=exclude", folder=own)
    assert finished.code == 1
    assert f"{PEOPLE} subjects or images cannot be used" in finished.err
    assert "and 20 more" in finished.err
    assert "No image is left" in finished.err


def test_the_report_of_what_was_finished_outlives_faults_and_the_dataset(own: Path) -> None:
    assert call("run", "clinic.yaml", folder=own).code == 0
    volume_file(own / "clinic", VICTIM).unlink()
    assert call("run", "clinic.yaml", folder=own).code == 1
    shutil.rmtree(own / "clinic")
    finished = call("report", "-o", "json", folder=own)
    assert finished.code == 0
    assert {record["status"] for record in json.loads(finished.out)["results"]} == {"ok"}


# ---------------------------------------------------------------- workspaces


def test_a_second_run_on_a_workspace_is_refused(second: Finished) -> None:
    assert second.code == 1
    assert "workspace is in use by another run (process " in second.err
    assert "Wait for it to end, work beside it with `--join`, or name another --workspace." in second.err


@pytest.mark.parametrize("command", [("run", "clinic.yaml"), ("resume",), ("report",)])
def test_a_workspace_of_another_version_is_refused_and_left_alone(command: tuple[str, ...], own: Path) -> None:
    workspace = Workspace(own / "old").root
    (workspace / "workspace.json").write_text('{"format": 99}')
    (workspace / "last.json").write_text('{"benchmark": "of another shape"}')
    finished = call(*command, "-w", "old", folder=own)
    assert finished.code == 1
    assert "old has workspace format 99; this CTLR writes format 2" in finished.err
    assert "Use the CTLR that wrote it, or name a new workspace." in finished.err
    assert {path.name for path in workspace.iterdir()} == {"workspace.json", "last.json"}


def test_a_last_run_that_another_version_wrote_is_named(own: Path) -> None:
    workspace = Workspace(own / "old").root
    (workspace / "last.json").write_text('{"benchmark": "of another shape"}')
    finished = call("resume", "-w", "old", folder=own)
    assert finished.code == 1
    assert "last.json is damaged, or another version of CTLR wrote it. Go on with `ctlr run FILE" in finished.err


def test_a_run_replaces_a_last_one_that_cannot_be_read(own: Path) -> None:
    (own / "workspace" / "last.json").write_text("{")
    assert call("run", "clinic.yaml", folder=own).code == 0
    assert call("report", folder=own).code == 0


@pytest.mark.parametrize("workspace", ["clinic.yaml", "clinic.yaml/deeper"])
def test_a_file_is_no_workspace(workspace: str, own: Path) -> None:
    finished = call("run", "clinic.yaml", "-w", workspace, folder=own)
    assert finished.code == 1
    assert f"{workspace} must be a folder, and a file stands in its place. Name another --workspace." in finished.err


def test_a_folder_with_other_things_is_no_workspace(own: Path) -> None:
    finished = call("run", "clinic.yaml", "-w", "clinic", folder=own)
    assert finished.code == 1
    assert "clinic is no workspace and holds other things" in finished.err
    assert not (own / "clinic" / "workspace.json").exists()


@pytest.mark.parametrize("command", ["resume", "report"])
def test_there_is_nothing_to_go_on_with_in_a_new_workspace(command: str, own: Path) -> None:
    finished = call(command, "-w", "new", folder=own)
    assert finished.code == 2
    assert "new holds no run. Start one with `ctlr run FILE --workspace new`." in finished.err
    assert not (own / "new").exists()


# ---------------------------------------------------------------- full disks

ON_A_SMALL_DISK = """
mkdir disk && mount -t tmpfs -o size=$1 none disk || exit 77
shift
"$@" $FIRST >first.out 2>first.err; echo $? >first.code
[ -d disk/workspace/$SOMETHING ] || exit 0
mount -o remount,size=64m disk
"$@" $AGAIN >second.out 2>second.err; echo $? >second.code
"""
RUN = {
    "FIRST": "run clinic.yaml --workspace disk/workspace --workers 1",
    "AGAIN": "resume --workspace disk/workspace --workers 1 -o json",
    "SOMETHING": "pretrained",
}
SEARCH = {
    "FIRST": "tune noisy.yaml --workspace disk/workspace",
    "AGAIN": "tune noisy.yaml --workspace disk/workspace --resume -o json",
    "SOMETHING": "experiments",
}


def on_a_small_disk(size: str, folder: Path, commands: dict[str, str]) -> list[Finished]:
    """A command on a disk of that size; when it got somewhere, one that goes on where the disk has grown."""
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare to mount a small disk in private")
    in_private = ("unshare", "--mount", "--map-root-user", "sh", "-c", ON_A_SMALL_DISK, "sh", size)
    mounting = subprocess.run(
        [*in_private, sys.executable, "-m", "ctlr"],
        cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"} | commands, check=False,
    )  # fmt: skip
    if not (folder / "first.code").exists():
        pytest.skip(f"a small disk cannot be mounted here (exit code {mounting.returncode})")
    texts = [
        [(folder / f"{run}.{part}").read_text() for part in ("code", "out", "err")]
        for run in ("first", "second")
        if (folder / f"{run}.code").exists()
    ]
    return [Finished(int(code), out, err) for code, out, err in texts]


def results(finished: Finished) -> list[dict[str, Any]]:
    """Records of `-o json` without what a clock says."""
    return [
        {key: value for key, value in record.items() if not key.startswith("seconds_")}
        for record in json.loads(finished.out)["results"]
    ]


def check_full(finished: Finished, place: str) -> None:
    assert finished.code == 1
    assert re.search(rf"^Error: The disk of \S*disk/workspace/{place}\S* is full\.", finished.err, re.MULTILINE)
    assert "What is finished is safe: free some space and run the command again, or go on with" in finished.err


def test_a_disk_that_is_full_before_the_images_are_stored_stops_the_run(own: Path) -> None:
    (first,) = on_a_small_disk("200k", own, RUN)
    check_full(first, "arrays/")


def test_a_disk_that_becomes_full_in_training_costs_nothing_that_was_finished(own: Path) -> None:
    first, last = on_a_small_disk("500k", own, RUN)
    check_full(first, "")
    assert "FAILED" not in first.err
    assert last.code == 0
    assert results(last) == results(call("run", "clinic.yaml", "-o", "json", folder=own))


NOISY = (
    PROGRAM.replace("name: square", "name: noisy")
    .replace("echo loss=${trialParameters.x}", "( yes padding | head -c 60000; echo loss=${trialParameters.x} )")
    .replace("parallelTrialCount: 2", "parallelTrialCount: 1").replace("maxTrialCount: 3", "maxTrialCount: 8")
)  # fmt: skip


def test_a_disk_that_becomes_full_in_a_search_costs_no_trial_that_has_ended(own: Path) -> None:
    (own / "noisy.yaml").write_text(NOISY)
    first, last = on_a_small_disk("300k", own, SEARCH)
    check_full(first, "experiments/noisy/")
    assert "FAILED" not in first.err
    assert "[4/8]" in first.err
    assert last.code == 0
    events = [json.loads(line) for line in last.err.splitlines()]
    again = {event["number"] for event in events if event["kind"] == "trial.ended"}
    assert 7 in again  # they count from 0
    assert 3 not in again
    whole = call("tune", "noisy.yaml", "-o", "json", folder=own)
    assert optimum(last) == optimum(whole)


def optimum(finished: Finished) -> Any:
    status = json.loads(finished.out)["status"]
    assert status["trialsSucceeded"] == 8
    return status["currentOptimalTrial"]["parameterAssignments"]
