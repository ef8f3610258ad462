"""`ctlr tune --apply`: the optimum goes into a benchmark's file."""

import json
import re
import stat
from pathlib import Path

import pytest
from plain_manifest import PROGRAM
from ruamel.yaml import YAML
from terminal import call
from tiny_bench import TINY

# As a person writes it: comments, room, an order of their own.
BENCHMARK = TINY.replace(
    "methods: {scratch: {}, supervised: {finetune: {n_frozen: 1}}, simclr: {}, vat: {}}\n",
    "methods:\n  scratch: {}   # the baseline\n\n  vat: {weight: 0.5}\n",
)
STUDY = PROGRAM.replace("name: square", "name: tiny-scratch").replace("loss", "val_mae").replace(
    '[sh, -c, "echo val_mae=${trialParameters.x}"]',
    '[ctlr, trial, tiny.yaml, --study=scratch, --n=6, "--set=dropout=${trialParameters.x}", "--set=epochs=2"]',
).replace('min: "-1", max: "1"', 'min: "0", max: "0.5"')  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "square.yaml").write_text(PROGRAM)
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "tiny.yaml").write_text(BENCHMARK)
    return tmp_path


def test_an_optimum_is_written_shown_and_kept_by_a_second_time(place: Path) -> None:
    file = place / "tiny.yaml"
    file.chmod(0o640)
    finished = call("tune", "study.yaml", "--workers", "1", "--max-trials", "2", "--apply", "tiny.yaml", folder=place)
    assert finished.code == 0, finished.err
    found = re.search(r"Optimum: val_mae=\S+ with x=(\S+)", finished.out)
    assert found is not None
    line = f"  scratch: {{finetune: {{dropout: {found[1]}, epochs: 2}}}}   # the baseline\n"
    assert file.read_text() == BENCHMARK.replace("  scratch: {}   # the baseline\n", line)
    assert f"-  scratch: {{}}   # the baseline\n+{line}" in finished.out
    assert finished.out.endswith("tiny.yaml: written, methods.scratch as tuned at n = 6 + 6, with small_cnn.\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert call("check", "tiny.yaml", folder=place).code == 0
    plan = json.loads(call("plan", "tiny.yaml", "-o", "json", folder=place).out)
    assert plan["options"]["methods.scratch"]["finetune.dropout"] == float(found[1])
    page = (place / "workspace" / "experiments" / "tiny-scratch" / "report.html").read_text()
    assert f"finetune:\n      dropout: {found[1]}\n      epochs: 2\n</pre>" in page
    assert "2 trials were made; this run was asked for 2, and the manifest allows 3." in page

    written, journal = file.read_bytes(), place / "workspace" / "experiments" / "tiny-scratch" / "journal.jsonl"
    before = journal.read_bytes()
    again = call("tune", "study.yaml", "--apply", "tiny.yaml", folder=place)
    assert again.code == 0
    assert again.out.endswith("tiny.yaml: has these options already.\n")
    assert (file.read_bytes(), journal.read_bytes()) == (written, before)  # nothing ran, nothing changed

    copy = place / "copy.yaml"
    copy.write_text(BENCHMARK)
    (place / "link.yaml").symlink_to(copy)
    as_yaml = call("tune", "study.yaml", "--apply", "link.yaml", "-o", "yaml", folder=place)
    assert YAML(typ="safe").load(as_yaml.out)["kind"] == "Experiment"  # stdout holds the document alone
    assert "+  scratch: {finetune: " in as_yaml.err
    assert copy.read_text() == BENCHMARK.replace("  scratch: {}   # the baseline\n", line)
    assert (place / "link.yaml").is_symlink()
    as_json = call("tune", "study.yaml", "--apply", "link.yaml", "-o", "json", folder=place)
    assert json.loads(as_json.out)["kind"] == "Experiment"
    assert [json.loads(line)["text"] for line in as_json.err.splitlines()] == ["link.yaml: has these options already."]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("epochs: 3", "epochs: many", "other.yaml:20: training.finetune.epochs: must be a whole number"),
        ("  vat: {weight: 0.5}", "  vat: {weight: 0.5", "other.yaml:14: no valid YAML"),
        ("{small_cnn: {}}", "{resnet18: {}}", "other.yaml:9: encoders: has no 'small_cnn'"),
    ],
)
def test_a_file_that_does_not_take_the_options_is_refused_before_a_trial_runs(
    place: Path, before: str, after: str, told: str
) -> None:
    other = place / "other.yaml"
    other.write_text(BENCHMARK.replace(before, after))
    finished = call("tune", "study.yaml", "--apply", "other.yaml", folder=place)
    assert (finished.code, finished.out) == (2, "")
    assert told in finished.err
    assert not (place / "workspace").exists()


def test_a_program_that_is_no_trial_of_ours_has_no_options_in_a_benchmark(place: Path) -> None:
    finished = call("tune", "square.yaml", "--apply", "tiny.yaml", folder=place)
    assert (finished.code, finished.out) == (2, "")
    assert "square.yaml: its trials do not run `ctlr trial`" in finished.err
    assert "Leave `--apply` out" in finished.err


def test_an_interrupted_search_is_gone_on_with_first(place: Path) -> None:
    ended = call("tune", "study.yaml", "--max-trials", "1", folder=place)
    assert ended.code == 0
    journal = place / "workspace" / "experiments" / "tiny-scratch" / "journal.jsonl"
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(lines[:-1]))  # as a kill leaves it
    refused = call("tune", "study.yaml", "--apply", "tiny.yaml", folder=place)
    assert refused.code == 2
    assert "Go on with it by --resume" in refused.err
    assert (place / "tiny.yaml").read_text() == BENCHMARK


def test_a_search_that_fails_leaves_the_file_alone(place: Path) -> None:
    (place / "study.yaml").write_text(STUDY.replace("epochs=2", "lr=1e30"))
    finished = call("tune", "study.yaml", "--workers", "1", "--apply", "tiny.yaml", folder=place)
    assert finished.code == 1
    assert "tiny.yaml: left as it is, since the search has not succeeded." in finished.err
    assert (place / "tiny.yaml").read_text() == BENCHMARK
