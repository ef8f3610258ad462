"""`ctlr init`: its ways to begin, what it refuses, and what it writes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import layouts
import pytest
from glass import at_terminal
from terminal import Finished, call

from ctlr.config import TEMPLATES, load

ROOT = Path(__file__).parents[2]
SCHEMA_LINE = "# yaml-language-server: $schema=ctlr.schema.json"


def init(warm: Path, *words: str, folder: Path) -> Finished:
    """The command, begun at once."""
    environment = {**os.environ, "PATH": f"{warm}:{os.environ['PATH']}", "COLUMNS": "160"}
    done = subprocess.run(
        ["ctlr", "init", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def test_a_file_is_called_like_the_folder_and_both_are_told(warm: Path, tmp_path: Path) -> None:
    layouts.kaggle_classes(tmp_path / "My Flowers")
    done = init(warm, "--data", "My Flowers", "--minutes", "0.1", "--workers", "1", folder=tmp_path)
    assert done.code == 0
    assert done.out.startswith(
        "my-flowers: pictures in the folder, a folder a class: 3 classes, 40 pictures (kind: images)\n"
    )
    assert "Proposed\n  target: class" in done.out
    assert done.err.endswith("my-flowers.yaml written. Run it: ctlr run my-flowers.yaml\n")
    text = (tmp_path / "my-flowers.yaml").read_text()
    assert text.startswith(f"{SCHEMA_LINE}\n# ctlr run my-flowers.yaml\n")
    assert "    root: My Flowers\n" in text
    rates = json.loads((tmp_path / "workspace/rates.json").read_text())
    assert "finetune scratch small_cnn*0.5 3x32x32" in rates


def test_a_narrow_terminal_gets_its_lines_broken_between_words(warm: Path, tmp_path: Path) -> None:
    layouts.kaggle_classes(tmp_path / "flowers")
    words = ("init", "--data", "flowers", "--minutes", "0.1", "--workers", "1")
    code, glass, _ = at_terminal(*words, folder=tmp_path, columns=50, rows=60, warm=warm)
    assert code == 0
    lines = [line.rstrip() for line in glass.everything]
    first = next(number for number, line in enumerate(lines) if line.startswith("  labelled subjects:"))
    assert all(len(line) <= 50 for line in lines)
    assert lines[first + 1].startswith("    ")
    assert "each size validates on as many as it trains on" in " ".join(" ".join(lines[first:]).split())


def test_what_was_measured_is_not_measured_again(warm: Path, tmp_path: Path) -> None:
    layouts.kaggle_classes(tmp_path / "flowers")
    words = ("--data", "flowers", "--minutes", "0.1", "--workers", "1")
    assert init(warm, *words, "first.yaml", folder=tmp_path).code == 0
    kept = (tmp_path / "workspace/rates.json").read_bytes()
    done = init(warm, *words, "second.yaml", folder=tmp_path)
    assert "… 0 s" in done.err
    assert (tmp_path / "workspace/rates.json").read_bytes() == kept


def test_a_folder_that_nothing_knows_ends_with_2_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers/1.pdf").write_bytes(b"x")
    done = call("init", "--data", "papers", folder=tmp_path)
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "papers is not a folder that CTLR can read as it is." in done.err
    assert os.listdir(tmp_path) == ["papers"]


def test_a_file_that_is_there_is_left_before_anything_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("mine")
    done = call("init", "--data", "data", folder=tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "data.yaml exists already and is left as it is. Name another file." in done.err
    assert (tmp_path / "data.yaml").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("a.yaml", "--data", "x", "--kind", "bids"), "`--data` and `--kind` are two ways to begin"),
        (("a.yaml", "--template", "demo", "--kind", "bids"), "`--kind` and `--template` are two ways to begin"),
        (("a.yaml", "--minutes", "3"), "`--minutes` means nothing without `--data FOLDER`"),
        (("a.yaml", "--target", "age"), "`--target` means nothing without `--data FOLDER`"),
        (("a.yaml", "--template", "dmeo"), "there is no template 'dmeo'. Did you mean 'demo'?"),
        ((), "Missing argument 'FILE'"),
    ],
)
def test_ways_to_begin_are_not_mixed(words: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = call("init", *words, folder=tmp_path)
    assert done.code == 2
    assert told in done.err.replace("│", "")


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_is_a_benchmark_that_passes_with_its_searches(template: str, tmp_path: Path) -> None:
    done = call("init", "own.yaml", "--template", template, folder=tmp_path)
    assert done.code == 0
    config = load(tmp_path / "own.yaml")
    assert config.name == "own"
    assert config.tracking.backend == "none"
    assert (tmp_path / "own.yaml").read_text().startswith(f"{SCHEMA_LINE}\n# ctlr run own.yaml\n")
    searches = sorted((tmp_path / "katib").glob("*.yaml")) if template != "demo" else []
    assert len(searches) == {"demo": 0, "tuned": 4, "katib": 22}[template]
    for search in searches:
        checked = call("check", str(search.relative_to(tmp_path)), folder=tmp_path)
        assert checked == Finished(0, f"{search.relative_to(tmp_path)}: ok\n", "")
        assert "- own.yaml" in search.read_text()
    if template == "tuned":
        assert config.tuning is not None
        assert {Path(path).parent for paths in config.tuning.experiments.values() for path in paths} == {
            tmp_path / "katib"
        }


def test_searches_that_are_there_are_left(tmp_path: Path) -> None:
    assert call("init", "one.yaml", "--template", "tuned", folder=tmp_path).code == 0
    done = call("init", "two.yaml", "--template", "katib", folder=tmp_path)
    assert done.code == 2
    assert "exists already and is left as it is. Write into another folder." in done.err
    assert not (tmp_path / "two.yaml").exists()


def test_a_schema_of_somebody_else_is_left(tmp_path: Path) -> None:
    (tmp_path / "ctlr.schema.json").write_text('{"mine": true}')
    assert call("init", "one.yaml", folder=tmp_path).code == 0
    assert (tmp_path / "ctlr.schema.json").read_text() == '{"mine": true}'


def test_the_schema_beside_a_file_is_that_of_this_version(tmp_path: Path) -> None:
    assert call("init", "one.yaml", folder=tmp_path).code == 0
    written = json.loads((tmp_path / "ctlr.schema.json").read_text())
    assert written.pop("$comment").startswith("Written by ctlr ")
    assert written == json.loads(call("schema", folder=tmp_path).out)


def test_the_wheel_carries_benchmarks_and_searches(tmp_path: Path) -> None:
    """It is built and installed without a network, beside the dependencies that are here."""
    tree = tmp_path / "tree"
    for name in ("src", "benchmarks", "katib"):
        shutil.copytree(
            ROOT / name, tree / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    offline = ("--no-index", "--no-deps", "--quiet", "--disable-pip-version-check")
    pip = (sys.executable, "-m", "pip")
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "-w", tmp_path, tree], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run([*pip, "install", *offline, "--target", tmp_path / "site", wheel], check=True)
    for folder in ("benchmarks", "katib"):
        carried = {file.name for file in (tmp_path / "site/ctlr/shipped" / folder).glob("*.yaml")}
        assert carried == {file.name for file in (ROOT / folder).glob("*.yaml")}
    done = subprocess.run(
        [sys.executable, "-m", "ctlr", "init", "own.yaml", "--template", "tuned"], cwd=tmp_path, capture_output=True,
        text=True, check=True, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )  # fmt: skip
    assert "own.yaml written, and 4 searches in katib. Run it: ctlr run own.yaml" in done.stderr
    assert load(tmp_path / "own.yaml").name == "own"
