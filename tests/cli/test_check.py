"""`ctlr check`: every fault of every kind at once, the same for people and for programs, and what the data hold."""

import dataclasses
import gzip
import json
import re
import struct
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from clinic import CLINIC, subject_id, volume_file, write_clinic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layouts import fmriprep, kaggle_classes, medmnist, openneuro
from terminal import call, ctlr

from ctlr.cli.check import Checked
from ctlr.errors import Fault
from ctlr.room import Free

ROOT = Path(__file__).parents[2]
PICTURES = """\
name: pictures
datasets:
  flowers: {kind: images, root: flowers, preprocess: {shape: [32, 32]}}
tasks:
  kind: {target: class, kind: classification}
transfers:
  - {target: {data: flowers, task: kind}}
encoders: {small_cnn: {}}
methods: {scratch: {}}
sample_sizes: [6]
seeds: [0]
split: {test: 9}
"""
BAD_MANIFEST = (
    "apiVersion: kubeflow.org/v1beta1\nkind: Experiment\nmetadata: {name: bad}\nspec: {maxTrialCount: many}\n"
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write_clinic(tmp_path / "clinic")
    (tmp_path / "clinic.yaml").write_text(CLINIC)
    return tmp_path


def empty(root: Path, *numbers: int) -> None:
    for number in numbers:
        volume_file(root / "clinic", subject_id(number)).write_bytes(b"")


# ---------------------------------------------------------------- faults of several kinds at once

EMPTY = "clinic.yaml:3: datasets.clinic: sub-XYZZY01/anat/sub-XYZZY01_T1w.nii.gz: the file is empty"
WARD = "split.stratify: dataset 'clinic' has no column 'ward'."
HIDES_NOTHING = {
    "an unknown method": ("supervised: {}", "supervisd: {}", "clinic.yaml:10: methods.supervisd: unknown method"),
    "a wrong option": ("epochs: 2, b", "epochs: no, b", "clinic.yaml:17: training.finetune.epochs: must be a whole"),
    "an unknown encoder": ("small_cnn: {}", "smal_cnn: {}", "clinic.yaml:9: encoders.smal_cnn: unknown encoder"),
    "an unknown section": ("report:", "reports:", "clinic.yaml:18: reports: unknown key."),
    "a wrong size": ("[4, 6]", "[1]", "clinic.yaml:11: sample_sizes.0: must be at least 2; got 1."),
    "a wrong way of preprocessing": ("spacing: 12", "spacng: 12", "clinic.yaml:3: datasets.clinic.preprocess.spacng:"),
    "too few sides": ("[16, 16, 16]", "[16, 16]", "clinic.yaml:3: datasets.clinic.preprocess.shape: volumes have"),
    "a transfer to nowhere": ("{data: clinic, task: age}", "{data: clinics, task: age}", "unknown dataset 'clinics'"),
    "no such folder": ("tasks:", "  away: {kind: bids, root: away}\ntasks:", "datasets.away.root: there is no folder"),
    "two keys of one name": ("seeds: [0]", "seeds: [0]\nseeds: [1]", "clinic.yaml:13: seeds: this key stands in line"),
    "a wrong name": ("name: clinic", "name: The clinic", "clinic.yaml:1: name: must be at most 40"),
}


@pytest.mark.parametrize("case", HIDES_NOTHING)
def test_a_fault_of_the_file_hides_none_of_the_data(case: str, place: Path) -> None:
    old, new, told = HIDES_NOTHING[case]
    empty(place, 1)
    (place / "clinic.yaml").write_text(CLINIC.replace(old, new, 1))
    finished = call("check", "clinic.yaml", folder=place)
    assert finished.code == 2
    lines = finished.err.removeprefix("Error: ").splitlines()
    assert sum(told in line for line in lines) == 1, finished.err
    assert sum(line.startswith(EMPTY) for line in lines) == 1, finished.err
    assert len(lines) == 2, finished.err


def test_the_file_the_data_the_manifests_and_the_packages_are_told_at_once(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty(place, 1)
    (place / "bad.yaml").write_text(BAD_MANIFEST)
    text = CLINIC.replace("test: 8", "test: 8, stratify: [ward]").replace("small_cnn: {}", "small_cnn: {}, nix: {}")
    more = "tracking: {backend: mlflow}\ntuning: {trials: 3, by_hand: [supervised], experiments: {scratch: bad.yaml}}\n"
    (place / "clinic.yaml").write_text(text + more)
    monkeypatch.setattr("ctlr.examination.find_spec", lambda name: None if name == "mlflow" else find_spec(name))
    shown = json.loads(call("check", "clinic.yaml", "-o", "json", folder=place).out)
    found = [(fault["line"], fault["kind"], fault["key"], fault["place"]) for fault in shown["faults"]]
    manifest = str(place / "bad.yaml")
    assert found == [
        (3, "data", "datasets.clinic", f"{subject_id(1)}/anat/{subject_id(1)}_T1w.nii.gz"),
        (9, "config", "encoders.nix", ""),
        (14, "config", "split.stratify", ""),
        (19, "package", "tracking.backend", ""),
        *[(20, "tuning", "tuning.experiments.scratch", f"{manifest}:4")] * 5,
    ]
    assert shown["faults"][1] == {
        "message": shown["faults"][1]["message"], "kind": "config", "file": "clinic.yaml", "line": 9, "column": 27,
        "key": "encoders.nix", "place": "",
    }  # fmt: skip
    assert shown["config"] is shown["needs"] is None
    assert shown["datasets"]["clinic"]["targets"]["age"]["known"] == 30


def test_a_wrong_algorithm_hides_no_wrong_space(place: Path) -> None:
    (place / "bad.yaml").write_text(BAD_MANIFEST)
    more = "tuning: {trials: 3, algorithm: tpee, by_hand: [supervised], experiments: {scratch: bad.yaml}}\n"
    (place / "clinic.yaml").write_text(CLINIC + more)
    told = call("check", "clinic.yaml", folder=place).err
    assert "clinic.yaml:19: tuning.algorithm: unknown algorithm 'tpee'. Did you mean 'tpe'?" in told
    assert "bad.yaml:4: spec.maxTrialCount: must be a whole number; got 'many'." in told


def test_every_line_of_a_table_that_is_wrong_is_told(place: Path) -> None:
    table = place / "clinic/participants.tsv"
    lines = table.read_text().splitlines()
    lines[4], lines[7], lines[9] = subject_id(3), f"{lines[7]}\tmore", lines[8]
    table.write_text("\n".join(lines) + "\n")
    told = call("check", "clinic.yaml", folder=place).err
    assert re.findall(r"datasets\.clinic: participants\.tsv, line (\d+): (\S+ \S+)", told) == [
        ("5", "every line"), ("8", "every line"), ("10", "'participant_id' must"),
    ]  # fmt: skip


def test_leaks_are_looked_for_where_another_dataset_is_damaged(place: Path) -> None:
    header, *rows = [line.split("\t") for line in (place / "clinic/participants.tsv").read_text().splitlines()]
    table = [[*header, "months"], *([*row, f"{12 * float(row[1]):.1f}"] for row in rows)]
    (place / "clinic/participants.tsv").write_text("".join("\t".join(row) + "\n" for row in table))
    kaggle_classes(place / "flowers")
    (place / "flowers/rose/1.jpg").write_bytes(b"")
    text = CLINIC.replace("tasks:", "  flowers: {kind: images, root: flowers, preprocess: {shape: [32, 32]}}\ntasks:")
    text = text.replace("  sex:", "  months: {target: months, kind: regression}\n  kind: {target: class, kind: "
                        "classification}\n  sex:").replace("task: sex}", "task: months}")  # fmt: skip
    text = text.replace("encoders:", "  - {target: {data: flowers, task: kind}, methods: [scratch]}\nencoders:")
    (place / "clinic.yaml").write_text(text)
    told = call("check", "clinic.yaml", folder=place)
    assert "datasets.flowers: rose/1.jpg: the file is empty" in told.err
    assert "Column 'months' of dataset 'clinic' repeats the target 'age'" in told.err
    shown = json.loads(call("check", "clinic.yaml", "-o", "json", folder=place).out)
    assert [fault["kind"] for fault in shown["faults"]] == ["data", "leak"]


def test_a_set_in_a_damaged_file_is_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"images-idx3": rng.integers(0, 256, (60, 28, 28), np.uint8), "labels-idx1": np.arange(60, dtype="u1") % 3}
    for name, array in arrays.items():
        head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
        (tmp_path / f"train-{name}-ubyte.gz").write_bytes(gzip.compress(head + array.tobytes()))
    text = PICTURES.replace("{kind: images, root: flowers, preprocess: {shape: [32, 32]}}", "{kind: idx, root: .}")
    (tmp_path / "idx.yaml").write_text(text)
    assert call("check", "idx.yaml", folder=tmp_path).code == 0
    pictures = tmp_path / "train-images-idx3-ubyte.gz"
    pictures.write_bytes(pictures.read_bytes()[:-9])
    told = call("check", "idx.yaml", folder=tmp_path)
    assert told.code == 1
    assert "idx.yaml:3: datasets.flowers: train-images-idx3-ubyte.gz must be an idx file of bytes" in told.err


def test_an_archive_of_pictures_that_is_damaged_is_told(tmp_path: Path) -> None:
    file = medmnist(tmp_path / "med") / "breastmnist.npz"
    kind = "{kind: npz, root: med}"
    text = PICTURES.replace("{kind: images, root: flowers, preprocess: {shape: [32, 32]}}", kind)
    (tmp_path / "med.yaml").write_text(text.replace("test: 9", "test: 8"))
    right = call("check", "med.yaml", folder=tmp_path)
    assert (right.code, right.err) == (0, "")
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 255
    file.write_bytes(content)
    told = call("check", "med.yaml", folder=tmp_path)
    assert told.code == 1
    assert "med.yaml:3: datasets.flowers: breastmnist.npz: it must be a NumPy archive" in told.err


class Without:
    """Finds no pyarrow, as where it is not installed."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] == "pyarrow":
            raise ModuleNotFoundError(f"No module named {name!r}", name="pyarrow")


def test_a_kind_of_data_names_the_package_that_it_lacks(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "points.parquet").write_bytes(b"PAR1")
    (place / "points.yaml").write_text(
        "name: points\ndatasets: {table: {kind: points, root: ., table: points.parquet, features: [x, y]}}\n"
        "tasks: {kind: {target: kind, kind: classification}}\ntransfers: [{target: {data: table, task: kind}}]\n"
        "encoders: {mlp: {}}\nmethods: {scratch: {}}\nsample_sizes: [4]\nseeds: [0]\n"
    )
    for name in [name for name in sys.modules if name.partition(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Without(), *sys.meta_path])
    shown = call("check", "points.yaml", "-o", "json", folder=place)
    (fault,) = json.loads(shown.out)["faults"]
    assert (fault["kind"], fault["key"], shown.code) == ("package", "datasets.table", 2)
    assert "pip install 'ctlr[parquet]'" in fault["message"]


# ---------------------------------------------------------------- for programs

WRONG: dict[str, tuple[str, bytes, str]] = {
    "no file": ("none.yaml", b"", "config"),
    "no YAML": ("bad.yaml", b"name: x\n  a: [\n", "syntax"),
    "a list": ("bad.yaml", b"- 1\n- 2\n", "syntax"),
    "no text": ("bad.yaml", b"name: \xff\xfe\n", "syntax"),
    "two documents": ("bad.yaml", b"name: x\n---\nname: y\n", "syntax"),
    "an anchor of nowhere": ("bad.yaml", b"name: *nix\n", "syntax"),
    "a bell": ("bad.yaml", b"name: \x07\n", "syntax"),
    "too deep": ("bad.yaml", b"a: " + b"[" * 60 + b"]" * 60 + b"\n", "syntax"),
    "an empty file": ("bad.yaml", b"", "syntax"),
    "a folder": ("clinic", b"", "config"),
    "an experiment": ("bad.yaml", BAD_MANIFEST.encode(), "config"),
    "an experiment that is no YAML": ("bad.yaml", b"kind: Experiment\n  a: [\n", "syntax"),
    "a plug-in that is missing": ("bad.yaml", f"plugins: [mine.py]\n{CLINIC}".encode(), "config"),
    "a wrong option": ("bad.yaml", CLINIC.replace("epochs: 2}", "epochs: two}").encode(), "config"),
    "a wrong column": ("bad.yaml", CLINIC.replace("target: age", "target: aeg").encode(), "config"),
}


@pytest.mark.parametrize("case", WRONG)
def test_json_of_a_bad_file_says_on_stdout_what_people_read(case: str, place: Path) -> None:
    name, content, kind = WRONG[case]
    if content or name == "bad.yaml":
        (place / name).write_bytes(content)
    told, shown = call("check", name, folder=place), call("check", name, "-o", "json", folder=place)
    assert (told.code, shown.code, shown.err, told.out) == (2, 2, "", "")
    found = json.loads(shown.out)
    assert list(found) == [field.name for field in dataclasses.fields(Checked)]
    assert found["file"] == name
    assert not found["ok"]
    lines = told.err.removeprefix("Error: ").splitlines()
    assert len(found["faults"]) == len(lines)
    for line, fault in zip(lines, found["faults"], strict=True):
        assert list(fault) == [field.name for field in dataclasses.fields(Fault)]
        at = f":{fault['line']}" if fault["line"] else ""
        key = f" {fault['key']}:" if fault["key"] else ""
        assert line == f"{name}{at}:{key} {fault['message']}"
        assert (fault["kind"], fault["file"]) == (kind, name)
        assert not fault["line"] or fault["column"] >= 1


def test_an_override_is_named_in_the_place_of_a_line(place: Path) -> None:
    shown = json.loads(call("check", "clinic.yaml", "--set", "methods.simclr.x=1", "-o", "json", folder=place).out)
    (fault,) = shown["faults"]
    assert fault["message"].startswith("`methods` has no 'simclr'.")
    assert (fault["place"], fault["line"], fault["column"]) == ("--set methods.simclr.x=1", None, None)
    assert fault["key"] == "methods.simclr.x"


def test_an_experiment_takes_no_override_and_says_so_in_json(place: Path) -> None:
    (place / "bad.yaml").write_text(BAD_MANIFEST)
    shown = json.loads(call("check", "bad.yaml", "--set", "a=1", "-o", "json", folder=place).out)
    assert shown["kind"] == "experiment"
    assert shown["faults"][0]["message"].startswith("`--set` changes benchmark files")


def test_yaml_says_what_json_says_of_a_bad_file(place: Path) -> None:
    from ruamel.yaml import YAML

    (place / "bad.yaml").write_text("name: [\n")
    shown = [call("check", "bad.yaml", "-o", form, folder=place) for form in ("json", "yaml")]
    assert YAML(typ="safe").load(shown[1].out) == json.loads(shown[0].out)
    assert [each.code for each in shown] == [2, 2]


@pytest.mark.parametrize("command", ["plan", "run"])
def test_other_commands_leave_stdout_to_results(command: str, place: Path) -> None:
    (place / "bad.yaml").write_text("name: [\n")
    finished = call(command, "bad.yaml", "-o", "json", folder=place)
    assert (finished.code, finished.out) == (2, "")
    assert "bad.yaml:2: no valid YAML" in finished.err


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.text(alphabet="ab:-[]{}#&*!|>'\" \n\t\u2028é", max_size=80).map(str.encode))
def test_whatever_a_file_holds_it_is_json_and_no_traceback(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "any.yaml").write_bytes(content)
    finished = call("check", "any.yaml", "-o", "json", folder=tmp_path)
    assert finished.code == 2
    assert json.loads(finished.out)["faults"]
    assert finished.err == ""


def test_the_page_names_every_key_and_every_kind() -> None:
    page = (ROOT / "docs/running.md").read_text()
    section = page.partition("## What a check says")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    named = re.findall(r"`(\w+)`", " ".join(cells))
    fields = [field.name for kept in (Checked, Fault) for field in dataclasses.fields(kept)]
    assert sorted(named) == sorted(fields)
    kinds = {"syntax", "config", "tuning", "data", "leak", "package", "disk", "memory"}
    assert kinds <= set(re.findall(r"`([a-z]+)`", section))


# ---------------------------------------------------------------- what was found


def test_a_right_file_says_what_its_data_hold(tmp_path: Path) -> None:
    openneuro(tmp_path / "raw")
    wanted = "root: raw, session: test, preprocess: {on_bad_subject: exclude, "
    text = CLINIC.replace("root: clinic, preprocess: {", wanted)
    (tmp_path / "raw.yaml").write_text(text)
    finished = call("check", "raw.yaml", "--workers", "2", folder=tmp_path)
    assert finished.code == 0
    lines = finished.out.splitlines()
    assert lines[0] == "raw.yaml: what the data hold"
    assert "sex: F 12, M 12" in finished.out
    assert re.search(r"clinic +│ 24 +│ 24 +│ 1 x 16 x 16 x 16 │ age: 18\.\d to 89 years, median", finished.out)
    assert "clinic: 12 not read: the filters leave it out (session: test)." in lines
    assert re.fullmatch(
        r"A run stores 281 KiB of images and up to 889 KiB of weights \(\S+ [GT]iB are free\), and takes about 660 MiB "
        r"of memory with 2 workers \(\S+ [GT]iB are free\)\.", lines[-2],
    )  # fmt: skip
    assert lines[-1] == "raw.yaml: ok"
    assert finished.err.startswith("datasets.clinic: left out: sub-25: a line of participants.tsv needs an image")


def test_json_of_a_right_file_has_the_same_and_the_resolved_benchmark(tmp_path: Path) -> None:
    derivative = fmriprep(tmp_path / "raw")
    text = CLINIC.replace("root: clinic", f"root: {derivative.relative_to(tmp_path)}")
    (tmp_path / "prepared.yaml").write_text(text)
    finished = call("check", "prepared.yaml", "-o", "json", "--workers", "3", folder=tmp_path)
    assert (finished.code, finished.err) == (0, "")
    shown = json.loads(finished.out)
    assert (shown["format"], shown["ok"], shown["kind"], shown["faults"]) == (1, True, "benchmark", [])
    dataset = shown["datasets"]["clinic"]
    assert (dataset["kind"], dataset["subjects"], dataset["images"], dataset["shape"]) == (
        "bids",
        24,
        24,
        [1, 16, 16, 16],
    )
    assert dataset["left_out"] == {"another version of the same scan is read.": 24}
    assert dataset["targets"]["age"]["known"] == 22
    assert dataset["targets"]["sex"]["classes"] == {"F": 12, "M": 12}
    assert dataset["disk_bytes"] == shown["needs"]["images_bytes"] == 24 * (2 * 16**3 + 2 * 12**3 + 300)
    assert shown["needs"]["workers"] == 3
    assert shown["needs"]["disk_bytes"] == shown["needs"]["images_bytes"] + shown["needs"]["models_bytes"]
    assert shown["config"]["sample_sizes"] == [4, 6]
    assert shown["config"]["datasets"]["clinic"]["root"] == "clinic"


def test_the_quick_check_looks_at_no_data_and_tells_no_room(place: Path) -> None:
    empty(place, 1)
    shown = json.loads(call("check", "clinic.yaml", "--no-data", "-o", "json", folder=place).out)
    assert (shown["ok"], shown["datasets"], shown["needs"]) == (True, {}, None)
    assert shown["config"]["name"] == "clinic"


def test_what_may_not_be_meant_is_a_warning(place: Path) -> None:
    text = (place / "clinic/participants.tsv").read_text()
    (place / "clinic/participants.tsv").write_text(re.sub(r"(XYZZY04\t)[\d.]+", r"\g<1>-9999", text))
    finished = call("check", "clinic.yaml", folder=place)
    assert finished.code == 0
    assert finished.err == "clinic.age: 1 image has -9999, which may be a code for unknown. Write n/a if it is.\n"
    shown = json.loads(call("check", "clinic.yaml", "-o", "json", folder=place).out)
    assert shown["warnings"] == [finished.err.strip()]


# ---------------------------------------------------------------- room


GIB = 2**30
SHORT = {
    "no disk": (Free(disk=1000, memory=8 * GIB, memory_limit=8 * GIB), "disk", "datasets.clinic"),
    "no memory": (Free(disk=GIB, memory=GIB, memory_limit=1000), "memory", "encoders.small_cnn"),
}


@pytest.mark.parametrize("case", SHORT)
def test_what_cannot_fit_is_a_fault(case: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free, kind, key = SHORT[case]
    monkeypatch.setattr("ctlr.room.free_here", lambda workspace: free)
    shown = call("check", "clinic.yaml", "-o", "json", folder=place)
    (fault,) = json.loads(shown.out)["faults"]
    assert (shown.code, fault["kind"], fault["key"]) == (2, kind, key)
    assert fault["line"] == {"disk": 3, "memory": 9}[kind]
    assert ("--workspace" if kind == "disk" else "Lower `batch_size`") in fault["message"]
    assert call("check", "clinic.yaml", folder=place).err.startswith(f"Error: clinic.yaml:{fault['line']}: {key}: ")


@pytest.mark.parametrize(
    ("free", "says"),
    [
        (
            Free(disk=400_000, memory=8 * GIB, memory_limit=8 * GIB),
            "of images, the rest weights), and 391 KiB are free",
        ),
        (Free(disk=GIB, memory=900 * 2**20, memory_limit=8 * GIB), "are free. Run with --workers 4."),
        (Free(disk=GIB, memory=300 * 2**20, memory_limit=8 * GIB), "Lower `batch_size` or `preprocess.shape`"),
    ],
    ids=["disk", "workers", "batch"],
)
def test_what_may_not_suffice_is_a_warning(free: Free, says: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctlr.room.free_here", lambda workspace: free)
    finished = call("check", "clinic.yaml", "--workers", "8", folder=place)
    assert finished.code == 0
    assert says in finished.err


def test_images_that_the_workspace_holds_need_no_more_room(place: Path) -> None:
    from ctlr.config import load
    from ctlr.data.preprocess import preprocess
    from ctlr.workspace import Workspace

    before = json.loads(call("check", "clinic.yaml", "-o", "json", folder=place).out)["needs"]["images_bytes"]
    stored = preprocess(load(place / "clinic.yaml").datasets["clinic"], Workspace(place / "workspace"))
    folder = place / "workspace" / stored.path
    held = sum(file.stat().st_size for file in folder.iterdir())
    assert before == pytest.approx(held, rel=0.05)
    assert json.loads(call("check", "clinic.yaml", "-o", "json", folder=place).out)["needs"]["images_bytes"] == 0


def test_an_encoder_of_unknown_extent_is_left_out_of_the_account_and_named(tmp_path: Path) -> None:
    kaggle_classes(tmp_path / "flowers")
    (tmp_path / "mine.py").write_text(
        "from ctlr.specs import EncoderPart\n"
        'ENCODERS = {"mine": EncoderPart(about="mine", build="ctlr.encoders.small_cnn:small_cnn", blocks=4)}\n'
    )
    (tmp_path / "own.yaml").write_text(
        PICTURES.replace("name:", "plugins: [mine.py]\nname:").replace("small_cnn", "mine")
    )
    shown = json.loads(ctlr("check", "own.yaml", "-o", "json", folder=tmp_path).out)
    assert shown["notes"] == ["encoders: how large mine is is not known, and left out of what a run takes."]
    assert shown["needs"]["models_bytes"] == 0
    assert list(shown["plugins"]) == ["mine.py"]


def test_a_workspace_that_is_a_file_is_the_runs_affair(place: Path) -> None:
    (place / "workspace").write_text("no folder")
    assert call("check", "clinic.yaml", folder=place).code == 0
