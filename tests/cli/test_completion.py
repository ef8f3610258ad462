"""What the tab key makes of a line, in real shells at a terminal."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shells import Typed, environment, fish_offers, shell
from terminal import call
from tiny_bench import TINY

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SEARCH = Path(__file__).parents[2] / "katib" / "scratch-tpe.yaml"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a benchmark, a search, a broken file, a workspace as a run leaves it, and every shell's script."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "my file.yaml").write_text(TINY)
    (folder / "broken.yaml").write_text("name: [\n")
    shutil.copy(SEARCH, folder / "search.yaml")
    workspace = folder / "results"
    (workspace / "runs" / "first-run").mkdir(parents=True)
    (workspace / "workspace.json").write_text('{"format": 2}')
    began = {"n": 1, "kind": "step.started", "study": "vat-age-n6-s0-0123456789"}
    (workspace / "runs" / "first-run" / "events.jsonl").write_text(json.dumps(began, separators=(",", ":")) + "\n")
    report = workspace / "reports" / "first-run"
    report.mkdir(parents=True)
    (report / "results.csv").write_text("study,method\nscratch-age-n6-s0-a123456789,scratch\n")
    models = [{"method": method, "encoder": "small_cnn", "source": "", "target": "c.age"} for method in ("mean", "vat")]
    (report / "models.json").write_text(json.dumps(models))
    for name in ("bash", "zsh", "fish"):
        (folder / f"completion.{name}").write_text(call("completion", name, folder=folder).out)
    return folder


@pytest.fixture(scope="module")
def shells(place: Path) -> Iterator[dict[str, Typed]]:
    """Shells that have read the script, by name; a shell that is not here is missing."""
    found: dict[str, Typed] = {}
    with shell("bash", place, place / "completion.bash") as found["bash"]:
        if shutil.which("zsh") is None:
            yield found
            return
        with shell("zsh", place, place / "completion.zsh") as found["zsh"]:
            yield found


LINES = {
    # what is typed: what stands there after the tab key, and how it ends
    "ctlr rep": "ctlr report ",
    "ctlr run ti": "ctlr run tiny.yaml ",
    "ctlr run my": r"ctlr run my\ file.yaml ",
    "ctlr tune s": "ctlr tune search.yaml ",
    "ctlr report -w re": "ctlr report -w results/",
    "ctlr run tiny.yaml --set ta": "ctlr run tiny.yaml --set tasks.",
    "ctlr run tiny.yaml --set tasks.a": "ctlr run tiny.yaml --set tasks.age.",
    "ctlr run tiny.yaml --set training.finetune.opt": "ctlr run tiny.yaml --set training.finetune.optimiser=",
    "ctlr run tiny.yaml --set compute.precision=b": "ctlr run tiny.yaml --set compute.precision=bf16 ",
    "ctlr run tiny.yaml --set=compute.precision=b": "ctlr run tiny.yaml --set=compute.precision=bf16 ",
    "ctlr run tiny.yaml --set report.bayes_error=t": "ctlr run tiny.yaml --set report.bayes_error=true ",
    "ctlr run tiny.yaml --set transfers.0.target.task=a": "ctlr run tiny.yaml --set transfers.0.target.task=age ",
    "ctlr run tiny.yaml --set methods.vat.epsi": "ctlr run tiny.yaml --set methods.vat.epsilon=",
    "ctlr run tiny.yaml --set encoders.small_cnn.norm=g": "ctlr run tiny.yaml --set encoders.small_cnn.norm=group ",
    "ctlr run tiny.yaml --set seeds=[0] --set dat": "ctlr run tiny.yaml --set seeds=[0] --set datasets.",
    "ctlr trial tiny.yaml --study sim": "ctlr trial tiny.yaml --study simclr ",
    "ctlr trial tiny.yaml --transfer cohort.sex:c": "ctlr trial tiny.yaml --transfer cohort.sex:cohort.age ",
    "ctlr trial tiny.yaml --study vat --set finetune.sch": "ctlr trial tiny.yaml --study vat --set finetune.schedule=",
    "ctlr lr-find tiny.yaml --study vat --set keep=b": "ctlr lr-find tiny.yaml --study vat --set keep=best ",
    "ctlr predict results --method v": "ctlr predict results --method vat ",
    "ctlr explain simcl": "ctlr explain simclr ",
    "ctlr explain simclr.temp": "ctlr explain simclr.temperature ",
    "ctlr explain split.te": "ctlr explain split.test ",
    "ctlr init own.yaml --kind coh": "ctlr init own.yaml --kind cohort ",
    "ctlr init own.yaml --template tu": "ctlr init own.yaml --template tuned ",
    "ctlr completion z": "ctlr completion zsh ",
}  # fmt: skip


@pytest.mark.parametrize("name", ["bash", "zsh"])
@pytest.mark.parametrize("begun", LINES)
def test_the_tab_key_goes_on_with_a_line(begun: str, name: str, shells: dict[str, Typed]) -> None:
    if name not in shells:
        pytest.skip(f"no {name} here")
    line, shown = shells[name].complete(begun)
    assert line == LINES[begun]
    assert "Traceback" not in shown
    assert "rror:" not in shown


def test_fish_offers_what_goes_on_with_a_line(place: Path) -> None:
    offers = fish_offers(list(LINES), place, place / "completion.fish")
    for begun, offered in offers.items():
        last = LINES[begun].rstrip().replace(r"\ ", " ").removeprefix(begun[: begun.rindex(" ")]).strip()
        assert [offer.rstrip("/") for offer in offered] == [last.rstrip("/")]


@pytest.mark.parametrize("name", ["bash", "zsh"])
def test_several_candidates_are_listed(name: str, shells: dict[str, Typed]) -> None:
    if name not in shells:
        pytest.skip(f"no {name} here")
    line, shown = shells[name].complete("ctlr run tiny.yaml --set t")
    assert line == "ctlr run tiny.yaml --set t"
    for key in ("tuning.", "tracking.", "tasks.", "transfers.", "training."):
        assert key in shown


def offered(line: str, folder: Path, shell: str = "bash", **more: str) -> list[str]:
    """Candidates as a shell gets them, without their kinds; nothing may be told beside."""
    asked = environment() | {"COMP_LINE": line, "_CTLR_COMPLETE": f"{shell}_complete"} | more
    done = subprocess.run(["ctlr"], cwd=folder, env=asked, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [each.partition(",")[2] for each in done.stdout.splitlines() if each]


def test_ids_of_studies_follow_where_no_method_is_called_so(place: Path) -> None:
    assert offered("ctlr trial tiny.yaml --study s", place) == ["scratch", "supervised", "simclr"]
    ids = offered("ctlr trial tiny.yaml --study scratch-", place)
    assert len(ids) == 2
    assert all(each.startswith("scratch-age-n") for each in ids)
    assert set(offered("ctlr submit tiny.yaml --study scratch", place)) == set(ids)


def test_files_are_those_that_a_command_takes(place: Path) -> None:
    folders = {"results/"}
    assert set(offered("ctlr trial ", place)) == {"broken.yaml", "my file.yaml", "tiny.yaml"} | folders
    assert set(offered("ctlr tune ", place)) == {"search.yaml"} | folders
    assert set(offered("ctlr predict ", place)) == {"results"}
    assert set(offered("ctlr predict results/", place)) == {"results/reports/", "results/runs/"}


def test_a_value_goes_by_the_files_own_names(place: Path) -> None:
    assert offered("ctlr run tiny.yaml --set methods.", place) == [
        f"methods.{name}." for name in ("scratch", "supervised", "simclr", "vat")
    ]
    assert offered("ctlr run tiny.yaml --set datasets.cohort.kind=c", place) == ["cohort"]
    assert "datasets.cohort.name=" not in offered("ctlr run tiny.yaml --set datasets.cohort.", place)


def test_runs_of_a_workspace_are_offered_first_and_ids_of_their_studies_where_none_is_called_so(place: Path) -> None:
    assert offered("ctlr show -w results ", place) == ["first-run"]
    assert offered("ctlr show -w results vat", place) == ["vat-age-n6-s0-0123456789"]
    assert offered("ctlr show -w results scratch-", place) == ["scratch-age-n6-s0-a123456789"]
    assert offered("ctlr show f", place, CTLR_WORKSPACE="results") == ["first-run"]
    assert offered("ctlr ls r", place) == ["results"]


NOTHING_FITS = (
    "ctlr trial broken.yaml --study ", "ctlr trial none.yaml --study ", "ctlr trial tiny.yaml --study none --set ",
    "ctlr run broken.yaml --set methods.", "ctlr run none.yaml --set methods.", "ctlr run tiny.yaml --set seeds.0.x.",
    "ctlr run tiny.yaml --set datasets.none.", "ctlr report -w none/", "ctlr predict none --method ",
    "ctlr trial . --encoder ", "ctlr explain nothing.",
)  # fmt: skip


@pytest.mark.parametrize("line", NOTHING_FITS)
def test_where_nothing_fits_nothing_is_said(line: str, place: Path) -> None:
    for name in ("bash", "zsh", "fish"):
        assert offered(line, place, name) == []


def test_a_broken_file_has_the_keys_that_every_file_has(place: Path) -> None:
    assert offered("ctlr run broken.yaml --set split.t", place) == ["split.test="]


def test_a_word_in_quotes_is_gone_on_with(place: Path) -> None:
    assert offered("ctlr run 'my", place) == ["my file.yaml"]
    assert offered("ctlr run my\\ fi", place) == ["my file.yaml"]


@pytest.mark.parametrize(
    "line", ["ctlr run {} --set training.finetune.", "ctlr trial {} --study s", "ctlr trial {} --study scratch-"]
)
def test_a_candidate_is_found_well_within_half_a_second(line: str, place: Path) -> None:
    """Of the processor: the clock also counts whoever else is at work here."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert offered(line.format(BENCHMARKS / "demo.yaml"), place)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


@pytest.mark.parametrize("line", ["ctlr run tiny.yaml --set methods.", "ctlr trial tiny.yaml --study "])
def test_a_completion_loads_nothing_that_is_slow(line: str, place: Path) -> None:
    program = (
        "import sys; sys.argv = ['ctlr']\n"
        "from ctlr.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print({'torch', 'scipy', 'matplotlib', 'sklearn', 'mlflow'} & set(sys.modules), file=sys.stderr)"
    )
    asked = os.environ | {"COMP_LINE": line, "_CTLR_COMPLETE": "bash_complete"}
    done = subprocess.run([sys.executable, "-c", program], cwd=place, env=asked, capture_output=True, text=True)
    assert done.stdout
    assert done.stderr == "set()\n"
