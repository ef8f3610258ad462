import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished_bench import finished
from ruamel.yaml import YAML

from ctlr.report.page import build_report
from ctlr.report.tuning.chosen import chosen_yaml
from ctlr.report.tuning.importance import Importance
from ctlr.report.tuning.stages import join_rounds
from ctlr.report.tuning.trial_tables import options_table, trials_table
from ctlr.specs import SearchResult

SECRETS = ("sub-JANE01", "jane.roe", "/home/", "TAIL")
METHODS = ("scratch", "supervised")


def build(age: Any, searches: list[SearchResult], out: Path, **options: Any) -> Path:
    return build_report(finished(age, searches=tuple(searches), seconds=10.0, **options), out)


@pytest.fixture(scope="module")
def searches(age: Any) -> list[SearchResult]:
    return [age.typical_search(method, size) for method in METHODS for size in (20, 100)]


@pytest.fixture
def small(new_benchmark: Callable[..., Any]) -> Any:
    """Two methods at one size, one seed."""
    return new_benchmark(methods=METHODS, sizes=(20,), seeds=(0,), n_test=20)


@pytest.fixture(scope="module")
def tuned(age: Any, searches: list[SearchResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(age, searches, tmp_path_factory.mktemp("tuned"))


def test_the_section_stands_between_results_and_cost(read: Callable[[Path], Any], tuned: Path) -> None:
    text = tuned.read_text()
    parts = ("Train, validation and test", "Tuning", "Best so far", "Chosen options", "How sure the choice is",
             "What it cost", "Search by search", "Time and cost")  # fmt: skip
    places = [text.index(f">{part}</h") for part in parts]
    assert places == sorted(places)
    page = read(tuned)
    assert "tpe searched the options of the finetuning" in page.text
    assert "The budget was set in trials. Every method was given the same." in page.text
    assert "shared by 3 searches" in page.text
    assert "Before them, the trials of tuning took 7 min 56 s of device time." in page.text
    assert "1 failed" in page.text
    assert "4 searches, 80 trials" in page.text
    assert not re.search(r"url\(http|@import|https?://", text)


def test_the_best_so_far_of_all_methods_stands_on_one_axis_of_the_budget(
    age: Any, searches: list[SearchResult], tuned: Path, tmp_path: Path
) -> None:
    for report, across in ((tuned, "trials"), (build(age, searches, tmp_path, budget="seconds"), "device seconds")):
        words = [w for w in re.findall(r'aria-label="([^"]*)"', report.read_text()) if w.startswith("Best MAE")]
        assert len(words) == 2  # the largest size, and the other one in a fold
        for label in words:
            assert f"so far by {across}." in label
            assert all(f"{method}: " in label for method in METHODS)


def test_what_was_chosen_can_be_copied_as_lines_of_the_file(tuned: Path, searches: list[SearchResult]) -> None:
    blocks = re.findall(r'<pre class="yaml">(.*?)</pre>', tuned.read_text(), re.DOTALL)
    assert len(blocks) == 2
    chosen = {s.study.method.label: s.assignments for s in searches if s.study.n_train == 100}
    finetune = YAML(typ="safe").load(blocks[0])["methods"]["supervised"]["finetune"]
    assert finetune == {
        "lr": float(chosen["supervised"]["finetune.lr"]), "n_frozen": int(chosen["supervised"]["finetune.n_frozen"]),
        "optimiser": chosen["supervised"]["finetune.optimiser"],
    }  # fmt: skip


def test_an_encoder_that_methods_want_otherwise_is_told_in_a_comment(searching: Any) -> None:
    def search(method: str, width: str) -> SearchResult:
        found = searching.search(searching.study(method, 20), searching.stage([searching.trial(0, 5.0)]))
        return found.model_copy(update={"assignments": {"encoder.width": width, "finetune.lr": "0.1"}})

    text = chosen_yaml([search("scratch", "1"), search("supervised", "2")])
    assert text.endswith("# encoders.small.width: 1 for scratch, 2 for supervised\n")
    assert "encoders" not in YAML(typ="safe").load(text)
    agreed = YAML(typ="safe").load(chosen_yaml([search("scratch", "2"), search("supervised", "2")]))
    assert agreed["encoders"] == {"small": {"width": 2}}


def test_trials_stand_from_best_to_worst_with_those_without_a_value_last(searching: Any) -> None:
    values = [7.0, None, 5.0, 6.0]
    (stage,) = join_rounds([searching.stage([searching.trial(n, value) for n, value in enumerate(values)])])
    table = trials_table(stage, label="MAE", name="x")
    assert [(row[0].text, row[1].text, row[2].text) for row in table.rows] == [
        ("3", "5.000", "succeeded"), ("4", "6.000", "succeeded"), ("1", "7.000", "succeeded"), ("2", "–", "failed"),
    ]  # fmt: skip
    assert table.columns[4:] == ("lr", "n_frozen", "optimiser")
    assert table.caption == "All 4 trials, from best to worst."


def test_of_many_trials_the_table_holds_the_best(searching: Any) -> None:
    (stage,) = join_rounds([searching.stage([searching.trial(n, 100.0 - n) for n in range(80)])])
    table = trials_table(stage, label="MAE", name="x")
    assert [row[0].text for row in table.rows] == [str(80 - n) for n in range(50)]
    assert table.caption == "The best 50 of 80 trials, from best to worst."


def test_options_stand_by_their_importance_with_what_was_searched(searching: Any) -> None:
    (stage,) = join_rounds([searching.stage([searching.trial(n, float(n)) for n in range(9)])])
    table = options_table(stage, Importance((("frozen", 0.75), ("lr", 0.25))), name="x")
    assert [(row[0].text, row[3].text, row[3].share) for row in table.rows] == [
        ("finetune.n_frozen", "75\u00a0%", 0.75), ("finetune.lr", "25\u00a0%", 0.25), ("finetune.optimiser", "–", None),
    ]  # fmt: skip
    assert len(options_table(stage, Importance((), "too few"), name="x").columns) == 3


def test_a_search_takes_fifty_kilobytes_of_a_page_at_most(small: Any, searching: Any, tmp_path: Path) -> None:
    """A hundred trials over three options; every one of them stands in trials.csv."""
    study = searching.study("scratch", 20)
    search = searching.search(study, searching.stage([searching.trial(n, 9.0 + n % 7) for n in range(100)]))
    with_one, without = (build(small, found, tmp_path / str(len(found))) for found in ([search], []))
    assert len(with_one.read_bytes()) - len(without.read_bytes()) < 50_000
    with (with_one.parent / "trials.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 100


def test_without_searches_nothing_of_it_is_on_the_page(small: Any, tmp_path: Path) -> None:
    text = build(small, [], tmp_path).read_text()
    assert "#tuning" not in text
    assert 'id="tuning' not in text
    assert ".warning" not in text
    assert not (tmp_path / "trials.csv").exists()
    assert not list((tmp_path / "tables").glob("tuning*"))


def test_an_uneven_budget_is_flagged_in_words(read: Callable[[Path], Any], small: Any, tmp_path: Path) -> None:
    searches = [small.typical_search(method, 20) for method in METHODS]
    page = build(small, searches, tmp_path, budget="seconds")
    assert '<p class="warning">The budget was set in device seconds. Uneven budget' in page.read_text()
    assert "For information: in trials they differ by at most 0.0 %." in read(page).text


def test_its_tables_and_trials_lie_beside_it(tuned: Path) -> None:
    names = {file.name for file in (tuned.parent / "tables").glob("tuning-*")}
    stems = ("ledger", "spread", "chosen", "selection", "failed")
    assert names == {f"tuning-{stem}.{suffix}" for stem in stems for suffix in ("csv", "md", "tex")}
    with (tuned.parent / "trials.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4 * 20
    assert {row["status"] for row in rows} == {"Succeeded", "Failed", "EarlyStopped"}
    assert {"finetune.lr", "finetune.n_frozen", "finetune.optimiser"} <= set(rows[0])
    with (tuned.parent / "tables" / "tuning-selection.csv").open() as stream:
        row = next(csv.DictReader(stream))
    assert float(row["lead_low"]) < float(row["lead"]) < float(row["lead_high"])
    assert float(row["gap"]) == pytest.approx(float(row["test"]) - float(row["best"]), abs=1e-4)


def test_equal_searches_give_equal_bytes(small: Any, tmp_path: Path) -> None:
    searches = [small.typical_search("supervised", 20)]
    first, second = (build(small, searches, tmp_path / name).parent for name in ("first", "second"))
    files = sorted(file.relative_to(first) for file in first.rglob("*") if file.is_file())
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)


def test_a_search_that_found_nothing_is_told_with_its_reason(
    read: Callable[[Path], Any], small: Any, searching: Any, tmp_path: Path
) -> None:
    lost = [searching.trial(n, None, reason="killed for memory") for n in range(3)]
    found = [
        searching.search(searching.study("scratch", 20), searching.stage(lost)),
        searching.search(searching.study("supervised", 20), reason="pretrain failed: no images"),
    ]
    page = read(build(small, found, tmp_path))
    assert "‘scratch’ at n = 20 + 20 chose nothing: tuning found nothing: every trial failed" in page.text
    assert "‘supervised’ at n = 20 + 20 chose nothing: pretrain failed: no images" in page.text
    assert page.text.count("killed for memory") == 3


def test_stages_and_rounds_are_drawn_one_by_one(
    read: Callable[[Path], Any], small: Any, searching: Any, tmp_path: Path
) -> None:
    def stage(kind: str, number: int) -> Any:
        return searching.stage([searching.trial(n, 9.0 - n / number) for n in range(4)], stage=kind, round=number)

    search = searching.search(
        searching.study("supervised", 20), *(stage(kind, n) for kind in ("pretrain", "finetune") for n in (1, 2))
    )
    page = read(build(small, [search], tmp_path))
    assert "Pretraining: 8 succeeded" in page.text
    assert "Finetuning: 8 succeeded" in page.text
    assert "in 2 rounds from coarse to fine: 16 trials a search" in page.text
    assert "There is a single method, so there is no budget to compare." in page.text


def test_of_many_searches_the_best_of_each_target_is_drawn(
    read: Callable[[Path], Any], small: Any, searching: Any, tmp_path: Path
) -> None:
    """17 methods would be some 170 drawings; what the others tried stands in trials.csv."""

    def search(number: int) -> Any:
        study = searching.study("scratch", 20)
        named = study.model_copy(update={"method": study.method.model_copy(update={"label": f"search-{number}"})})
        return searching.search(
            named, searching.stage([searching.trial(0, 9.0 - number % 7), searching.trial(1, 10.0)])
        )

    path = build(small, [search(number) for number in range(17)], tmp_path)
    page = read(path)
    assert "of 17 searches the best of each target and encoder, by validation subjects" in page.text
    summaries = re.findall(r"<summary>.*?</summary>", path.read_text())
    assert [number for number in range(17) if any(f"search-{number}<" in words for words in summaries)] == [6]
