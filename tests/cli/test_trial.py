"""`ctlr trial`: what Katib's pods run."""

import re
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner
from terminal import call
from tiny_bench import TINY, Bench

from ctlr.cli.app import cli
from ctlr.cli.trial import read_request
from ctlr.errors import ConfigError
from ctlr.specs import Collector
from ctlr.tuning.launchers import MetricsReader

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z( [\w-]+=[+-]?\d+(\.\d+)?(e[+-]?\d+)?)+")


@pytest.fixture
def place(own_bench: Bench) -> Path:
    """A folder with a small benchmark and a workspace that holds its images."""
    folder = own_bench.workspace.root.parent
    (folder / "tiny.yaml").write_text(TINY)
    return folder


def test_every_epoch_is_a_line_that_katibs_collector_reads(place: Path) -> None:
    finished = call("trial", "tiny.yaml", "--study", "scratch", "--set", "lr=1e-2", "--set", "epochs=4", folder=place)
    assert finished.code == 0
    lines = finished.out.splitlines()
    assert len(lines) == 5
    assert all(LINE.fullmatch(line) for line in lines)
    reader = MetricsReader(Collector(), ("val_mae", "epoch", "train_loss"))
    read = reader.feed(finished.out.encode())
    assert [row.get("epoch") for row in read] == [1, 2, 3, 4, None]
    assert all("train_loss" in row for row in read[:4])
    assert read[-1]["val_mae"] == min(row["val_mae"] for row in read)
    assert "48 images" in finished.err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--study", "simlcr"), 2, "Did you mean 'simclr'? Known: "),
        (("--study", "vat", "--set", "lrr=1"), 2, "`lrr`: vat has no such option. Did you mean 'lr'?"),
        (("--study", "vat", "--set", "lr"), 2, "`--set lr` must be KEY=VALUE"),
        (("--study", "vat", "--set", "lr=1", "--set", "lr=2"), 2, "`lr` is set already"),
        (("--study", "vat", "--stage", "joint"), 2, "vat does not pretrain"),
        (("--study", "vat", "--validation", "loo"), 2, "`--validation` must be holdout"),
        (("--study", "vat", "--device", "tpu"), 2, "`--device` must be cpu, cuda"),
        (("--study", "vat", "--stage", "later"), 2, "is not one of"),
        ((), 2, "--study"),
        (("--study", "scratch", "--set", "lr=1e20", "--set", "clip=null"), 1, "loss became"),
        (("--study", "scratch", "--validation", "kfold:11"), 2, "Ask for at most 10 folds"),
    ],
)
def test_a_trial_that_cannot_run_says_why(arguments: tuple[str, ...], code: int, told: str, place: Path) -> None:
    finished = call("trial", "tiny.yaml", *arguments, folder=place)
    assert finished.code == code
    assert told in finished.err


def test_data_that_are_not_stored_yet_are_preprocessed(place: Path) -> None:
    finished = call("trial", "tiny.yaml", "--study", "scratch", "--set", "epochs=1", "-w", "fresh", folder=place)
    assert finished.code == 0
    assert list((place / "fresh" / "arrays").iterdir())
    assert not (place / "fresh" / "finetuned").exists()


def test_trials_are_recorded_in_mlflow_where_the_benchmark_says_so(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "tiny.yaml").write_text(f"{TINY}tracking: {{backend: mlflow}}\n")
    monkeypatch.setenv("CTLR_TRIAL_NAME", "search-ab12")
    assert call("trial", "tiny.yaml", "--study", "scratch", "--set", "lr=2e-3", folder=place).code == 0
    monkeypatch.setenv("CTLR_TRIAL_NAME", "search-cd34")
    failing = ("--set", "lr=1e20", "--set", "clip=null")
    assert call("trial", "tiny.yaml", "--study", "scratch", *failing, folder=place).code == 1
    database = sqlite3.connect(place / "workspace" / "mlflow.db")
    tagged = "SELECT t.value, r.status, r.run_uuid FROM runs r JOIN tags t USING (run_uuid) WHERE t.key = 'ctlr.trial'"
    runs = {name: (status, run) for name, status, run in database.execute(tagged)}
    assert {name: status for name, (status, _) in runs.items()} == {
        "search-ab12": "FINISHED", "search-cd34": "FAILED",
    }  # fmt: skip
    run = runs["search-ab12"][1]
    params = dict(database.execute("SELECT key, value FROM params WHERE run_uuid = ?", [run]))
    assert params["method.finetune.lr"] == "0.002"
    steps = database.execute("SELECT step FROM metrics WHERE key = 'epoch/val_mae' AND run_uuid = ?", [run])
    assert sorted(step for (step,) in steps) == [1, 2, 3]
    (parents,) = database.execute("SELECT count(*) FROM tags WHERE key = 'ctlr.benchmark'").fetchone()
    assert parents == 1
    database.close()


# ---------------------------------------------------------------- the same command line in a warm worker


def test_a_command_line_is_read_as_the_command_reads_it(tmp_path: Path) -> None:
    arguments = ["b.yaml", "--study=vat", "--n=50", "--set", "lr=1e-3", "--set=weight=2", "--checkpoint-dir", "/c"]
    request = read_request(arguments, tmp_path, {"CTLR_WORKSPACE": "w", "CTLR_TRIAL_NAME": "search-1"})
    assert request.benchmark == str(tmp_path / "b.yaml")
    assert (request.study, request.n_train, request.assignments) == ("vat", 50, {"lr": "1e-3", "weight": "2"})
    assert (request.workspace, request.name) == (str(tmp_path / "w"), "search-1")
    assert request.checkpoint == "/c"
    assert read_request(arguments[:2], tmp_path, {}).checkpoint is None


@pytest.mark.parametrize("arguments", [[], ["b.yaml"], ["b.yaml", "--study"], ["b.yaml", "--stduy=x"], ["--help"]])
def test_a_command_line_that_is_wrong_is_a_config_error(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match="`ctlr trial"):
        read_request(arguments, tmp_path, {})


def test_the_help_names_every_option() -> None:
    shown = CliRunner().invoke(cli, ["trial", "--help"], prog_name="ctlr").output
    for option in ("--study", "--set", "--stage", "--validation", "--checkpoint-dir", "--transfer"):
        assert option in shown
