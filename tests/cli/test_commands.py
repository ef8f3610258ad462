"""Every command, its streams and its exit code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from clinic import CLINIC, write_clinic
from ruamel.yaml import YAML
from terminal import Finished, call
from tiny_bench import TINY

from ctlr import __version__
from ctlr.cli.app import cli

COMMANDS = (
    "automl", "cancel", "check", "cohort", "compare", "completion", "distance", "doctor", "drift", "explain", "export",
    "init", "logs", "lr-find", "ls", "plan", "plugins", "points", "predict", "report", "resume", "run", "schema",
    "serve", "show", "status", "submit", "suggest", "tensorboard", "tile", "trial", "tune", "ui",
)  # fmt: skip

SLOW = {"torch", "torchvision", "mlflow", "kubernetes", "kfp", "scipy", "sklearn", "matplotlib"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a small benchmark."""
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


def read_yaml(text: str) -> object:
    return YAML(typ="safe").load(text)


# ---------------------------------------------------------------- what a command imports


def modules_of(*arguments: str, folder: Path) -> set[str]:
    """Top-level modules that a command has imported when it ends."""
    program = f"""
import atexit, sys
sys.argv = {["ctlr", *arguments]!r}
atexit.register(lambda: print("modules:", *{{name.partition(".")[0] for name in sys.modules}}, file=sys.stderr))
from ctlr.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stderr.rpartition("modules: ")[2].split())


def test_help_loads_nothing_that_is_slow(place: Path) -> None:
    slow = {
        "torch",
        "torchvision",
        "pydantic",
        "mlflow",
        "kubernetes",
        "kfp",
        "numpy",
        "scipy",
        "sklearn",
        "matplotlib",
    }
    assert modules_of("--help", folder=place).isdisjoint(slow)
    assert modules_of("run", "--help", folder=place).isdisjoint(slow)


@pytest.mark.parametrize("command", ["check", "plan"])
def test_looking_at_a_benchmark_loads_no_torch(command: str, place: Path) -> None:
    assert modules_of(command, "tiny.yaml", folder=place).isdisjoint(SLOW)


# ---------------------------------------------------------------- help and usage


def test_help_names_every_command() -> None:
    shown = CliRunner().invoke(cli, ["--help"])
    assert shown.exit_code == 0
    assert tuple(sorted(cli.commands)) == COMMANDS
    for command in COMMANDS:
        assert re.search(rf"\b{command}\b", shown.output)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(cli, [command, "-h"], prog_name="ctlr")
    assert shown.exit_code == 0
    assert f"ctlr {command}" in shown.output
    for option in (parameter for parameter in cli.commands[command].params if parameter.param_type_name == "option"):
        assert option.opts[0] in shown.output
        assert getattr(option, "help", None)


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output == f"ctlr, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("chekc",), ("run",), ("run", "tiny.yaml", "--workrs", "2"), ("run", "tiny.yaml", "--workers", "0"),
        ("run", "tiny.yaml", "--workers", "two"), ("run", "tiny.yaml", "-o", "xml"), ("check", "none.yaml"),
        ("check", "tiny.yaml", "--set", "seeds"), ("run", "tiny.yaml", "--device", "gpu"),
        ("cohort", "out", "--subjects", "0"), ("init", "own.yaml", "--kind", "dicom"), ("completion", "tcsh"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_ends_with_2_and_a_word_why(arguments: tuple[str, ...], place: Path) -> None:
    finished = call(*arguments, folder=place)
    assert finished.code == 2
    assert finished.out == ""
    assert finished.err.strip()
    assert [path.name for path in place.iterdir()] == ["tiny.yaml"]


def test_a_device_that_is_not_there_is_refused_before_anything_is_done(place: Path) -> None:
    finished = call("run", "tiny.yaml", "--device", "cuda:63", folder=place)
    assert finished.code == 2
    assert "`--device cuda:63`: PyTorch finds" in finished.err
    assert not (place / "workspace").exists()


# ---------------------------------------------------------------- check and plan


def test_a_benchmark_that_is_right_is_ok(place: Path) -> None:
    assert call("check", "tiny.yaml", "--no-data", folder=place) == Finished(0, "tiny.yaml: ok\n", "")
    finished = call("check", "tiny.yaml", folder=place)
    assert (finished.code, finished.err) == (0, "")
    assert finished.out.startswith("tiny.yaml: what the data hold\n")
    assert finished.out.endswith("tiny.yaml: ok\n")


def test_every_fault_is_told_at_once_in_the_order_of_the_file(place: Path) -> None:
    text = TINY.replace("seed: 3", "sed: 3").replace("epochs: 2", "epochs: none")
    (place / "tiny.yaml").write_text(text)
    finished = call("check", "tiny.yaml", folder=place)
    assert finished.code == 2
    assert re.findall(r"tiny.yaml:(\d+): ([\w.]+)", finished.err) == [
        ("3", "datasets.cohort.sed"), ("16", "training.pretrain.epochs"),
    ]  # fmt: skip


def test_overrides_add_up(place: Path) -> None:
    sets = ("--set", "sample_sizes=[4]", "--set", "seeds=[5, 6]", "--set", "methods.simclr.temperature=0.7")
    shown = json.loads(call("check", "tiny.yaml", *sets, "-o", "json", folder=place).out)["config"]
    assert shown["sample_sizes"] == [4]
    assert shown["seeds"] == [5, 6]
    assert shown["methods"]["simclr"]["temperature"] == 0.7


def test_a_wrong_override_is_named_as_it_was_written(place: Path) -> None:
    finished = call("check", "tiny.yaml", "--set", "methods.simclr.temprature=1", folder=place)
    assert finished.code == 2
    assert "--set methods.simclr.temprature=1: methods.simclr.temprature: unknown key" in finished.err
    assert "Did you mean 'temperature'?" in finished.err


@pytest.mark.parametrize("command", [("check", "--no-data"), ("plan",)], ids=" ".join)
def test_json_and_yaml_say_the_same(command: tuple[str, ...], place: Path) -> None:
    as_json = call(*command, "tiny.yaml", "-o", "json", folder=place)
    as_yaml = call(*command, "tiny.yaml", "-o", "yaml", folder=place)
    assert json.loads(as_json.out) == read_yaml(as_yaml.out)
    assert as_json.err == as_yaml.err == ""


def test_the_resolved_benchmark_is_a_benchmark(place: Path) -> None:
    resolved = json.loads(call("check", "tiny.yaml", "--no-data", "-o", "json", folder=place).out)["config"]
    (place / "again.yaml").write_text(json.dumps(resolved))
    shown = [call("plan", name, "-o", "json", folder=place).out for name in ("tiny.yaml", "again.yaml")]
    assert json.loads(shown[0])["study_ids"] == json.loads(shown[1])["study_ids"]


def test_a_plan_counts_studies_and_what_they_share(place: Path) -> None:
    shown = json.loads(call("plan", "tiny.yaml", "--workers", "2", "-o", "json", folder=place).out)
    assert shown["benchmark"] == "tiny"
    assert shown["studies"] == len(set(shown["study_ids"])) == 10
    assert shown["shared_pretrainings"] == 2
    assert shown["workers"] == 2
    assert shown["estimated_seconds"] is None
    assert shown["sizes"] == [{"n_train": 6, "n_validation": 6}, {"n_train": 10, "n_validation": 10}]
    assert shown["methods"]["scratch"] == {"views": {"finetune": None}, "refit": False}
    assert [step["images"] for step in shown["costs"]] == [48, 46, 52, 48, 48, 48, 192]
    assert not (place / "workspace").exists()


def test_a_plan_is_a_table_unless_told_otherwise(place: Path) -> None:
    finished = call("plan", "tiny.yaml", folder=place)
    assert finished.code == 0
    assert finished.out.startswith("tiny: what `ctlr run` does\n")
    assert "10 studies share 2 pretrainings. Estimated time: no earlier run" in finished.out
    assert "Labelled subjects, n (training + validation): 6 + 6, 10 + 10.\n" in finished.out
    assert "pretraining: none; finetuning: none" in finished.out
    assert finished.err == ""


def test_a_plan_on_ones_own_data_counts_its_images_and_refuses_what_does_not_fit(place: Path) -> None:
    write_clinic(place / "clinic", people=25)
    (place / "clinic.yaml").write_text(CLINIC)
    shown = json.loads(call("plan", "clinic.yaml", "-o", "json", folder=place).out)
    assert shown["costs"][0]["images"] == 25
    again = place / "clinic" / "sub-XYZZY00" / "ses-2" / "anat" / "sub-XYZZY00_ses-2_T1w.nii.gz"
    again.parent.mkdir(parents=True)
    again.write_bytes(b"")  # only names are read
    shown = json.loads(call("plan", "clinic.yaml", "-o", "json", folder=place).out)
    assert shown["costs"][0]["images"] == 26
    too_small = call("plan", "clinic.yaml", "--set", "sample_sizes=[12]", folder=place)
    assert too_small.code == 2
    assert "asks for n_train=12 + 12 validation; dataset 'clinic' has 25 subjects with target 'age', 8" in too_small.err
    (place / "clinic" / "participants.tsv").unlink()
    assert "participants.tsv: a BIDS folder needs this table" in call("plan", "clinic.yaml", folder=place).err


def test_a_dry_run_measures_and_writes_nothing(place: Path) -> None:
    finished = call("run", "tiny.yaml", "--dry-run", "--workers", "2", "-o", "json", folder=place)
    assert finished.code == 0
    shown = json.loads(finished.out)
    costs = [step["seconds"] for step in shown["costs"]]
    assert all(seconds > 0 for seconds in costs)
    assert shown["estimated_seconds"] > sum(costs) / 2  # workers start as well
    assert [path.name for path in place.iterdir()] == ["tiny.yaml"]


# ---------------------------------------------------------------- the others


def test_the_schema_is_one_for_editors(place: Path) -> None:
    shown = json.loads(call("schema", folder=place).out)
    assert shown["$schema"].startswith("https://json-schema.org/")
    assert set(shown["required"]) >= {"name", "datasets", "tasks", "methods"}


def test_whoever_reads_only_the_beginning_hears_no_complaint(place: Path) -> None:
    command = f"{sys.executable} -m ctlr schema | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=place, capture_output=True, text=True, check=True)
    assert done.stdout == "{\n0\n"
    assert done.stderr == ""


def test_output_that_does_not_fit_on_its_disk_is_an_error_in_one_line(place: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ctlr", "plan", "tiny.yaml"], cwd=place, stdout=full, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "Error: the disk that the output goes to is full. What was computed is safe.\n"


def test_a_terminal_that_knows_ascii_alone_gets_the_rest_spelt_out(place: Path) -> None:
    (place / "tiny.yaml").write_text(f"description: für Ältere\n{TINY}")
    done = subprocess.run(
        [sys.executable, "-m", "ctlr", "check", "tiny.yaml", "-o", "yaml"], cwd=place, capture_output=True, check=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )  # fmt: skip
    assert b"  description: f\\xfcr \\xc4ltere\n" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_ctlr(shell: str, place: Path) -> None:
    finished = call("completion", shell, folder=place)
    assert finished.code == 0
    assert "_CTLR_COMPLETE" in finished.out


@pytest.mark.parametrize("kind", ["cohort", "bids", "images", "signals", "series"])
def test_a_new_file_passes_the_check_once_its_data_are_there(kind: str, place: Path) -> None:
    finished = call("init", "my-study.yaml", "--kind", kind, folder=place)
    assert finished.code == 0
    assert finished.out == ""
    assert "ctlr check my-study.yaml && ctlr run my-study.yaml" in finished.err
    (place / "data").mkdir()
    assert call("check", "my-study.yaml", "--no-data", folder=place).out == "my-study.yaml: ok\n"


def test_a_file_that_is_there_is_never_overwritten(place: Path) -> None:
    finished = call("init", "tiny.yaml", folder=place)
    assert finished.code == 2
    assert "tiny.yaml exists already and is left as it is. Name another file." in finished.err
    assert (place / "tiny.yaml").read_text() == TINY


def test_a_new_file_needs_its_folder(place: Path) -> None:
    finished = call("init", "none/own.yaml", folder=place)
    assert finished.code == 2
    assert "none is no folder. Make it first" in finished.err


def test_a_cohort_is_written_where_it_is_wanted_and_only_there(place: Path) -> None:
    finished = call("cohort", "people", "--subjects", "3", "--seed", "1", "--spacing", "12", folder=place)
    assert finished == Finished(0, "people\n", "")
    assert len(list((place / "people").glob("sub-*/anat/*_T1w.nii.gz"))) == 3
    again = call("cohort", "people", "--subjects", "3", "--spacing", "12", folder=place)
    assert again.code == 1
    assert "people" in again.err


def test_a_cohort_of_recordings_is_written_with_the_options_that_fit_it(place: Path) -> None:
    finished = call("cohort", "recorded", "--kind", "eeg", "--subjects", "2", "--minutes", "2", folder=place)
    assert finished == Finished(0, "recorded\n", "")
    assert len(list((place / "recorded").glob("sub-*/eeg/*_task-synthetic_eeg.edf"))) == 2
    for words in (
        ("--kind", "eeg", "--spacing", "4"), ("--minutes", "4"), ("--kind", "eeg", "--minutes", "3"),
        ("--kind", "tissue", "--spacing", "4"), ("--kind", "eeg", "--side", "512"),
    ):  # fmt: skip
        refused = call("cohort", "other", *words, folder=place)
        assert refused.code == 2
        assert words[-2] in refused.err
        assert not (place / "other").exists()


def test_the_doctor_finds_this_machine_well(place: Path) -> None:
    finished = call("doctor", "-o", "json", folder=place)
    findings = {finding["what"]: finding for finding in json.loads(finished.out)}
    assert finished.code == 0
    assert findings["torch"]["ok"]
    assert findings["python"]["found"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert findings["workspace"]["found"] == "writable"
    assert not (place / "workspace").exists()


@pytest.mark.parametrize("fault", ["", "weight gradient off by 1.2"])
def test_the_doctor_says_which_layers_run_in_which_precision(
    place: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    monkeypatch.setattr("ctlr.cli.doctor.SHOWN", 1)
    monkeypatch.setattr("ctlr.training.placement.cpu_multiplies_bf16", lambda: True)
    # The third convolution of the small CNN sees maps of side 8 at 32^3.
    monkeypatch.setattr("ctlr.training.selftest.judge", lambda layer, _: fault if layer.entering[1] == 8 else "")
    told = "; 1 of 4 convolutions in float32 (blocks.2.0)" if fault else ", all 4 convolutions"
    assert f"ok   precision of small_cnn at 32^3: cpu bf16 channels_last_3d{told}\n" in call("doctor", folder=place).out


def test_the_doctor_says_why_a_cpu_trains_in_float32(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctlr.training.placement.cpu_multiplies_bf16", lambda: False)
    told = "precision: float32 on the CPU: this processor does not multiply bf16 in hardware\n"
    assert told in call("doctor", folder=place).out


def test_the_doctor_names_the_remedy_for_what_is_wrong(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctlr.cli.doctor.NEEDED", ("torch", "no-such-package"))
    monkeypatch.setattr("ctlr.cli.doctor.ROOM_BYTES", 2**60)
    finished = call("doctor", folder=place)
    assert finished.code == 1
    assert "BAD  no-such-package: not installed\n     pip install no-such-package\n" in finished.out
    assert "Free some space, or name a workspace on another disk with --workspace." in finished.out


def test_the_environment_may_name_the_workspace(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTLR_WORKSPACE", "elsewhere")
    finished = call("resume", folder=place)
    assert finished.code == 2
    assert "elsewhere holds no run." in finished.err


def test_a_plan_tells_what_targets_hold_and_what_is_not_read(tmp_path: Path) -> None:
    root = write_clinic(tmp_path / "clinic")
    table = (root / "participants.tsv").read_text()
    (root / "participants.tsv").write_text(table.replace("sub-XYZZY01\t", "sub-XYZZY01\t-", 1))
    (root / "sub-XYZZY02/anat/sub-XYZZY02_part-phase_T1w.nii.gz").touch()
    (root / "sub-99/anat").mkdir(parents=True)
    (root / "sub-99/anat/sub-99_T1w.nii.gz").touch()
    (tmp_path / "clinic.yaml").write_text(CLINIC)
    text, values = (call("plan", "clinic.yaml", "-o", form, folder=tmp_path) for form in ("table", "json"))
    assert (text.code, values.code) == (0, 0), text.err
    assert "clinic  │ sex  │ sex    │ 30 of 30 │ F 15, M 15" in text.out
    assert "clinic.age: 1 image has an age below 0 or above 43800. Check the table" in text.out
    assert "clinic: 1 cannot be used: an image needs a line in participants.tsv." in text.out
    assert "clinic: 1 not read: it is not the magnitude of a complex image." in text.out
    told = json.loads(values.out)
    assert [(target["task"], target["known"]) for target in told["targets"]] == [("age", 30), ("sex", 30)]
    assert [sum(told[key]["clinic"].values()) for key in ("faults", "left_out")] == [1, 1]
