"""What a tracker is told that a benchmark came to, held against the API's tables of the same studies."""

from pathlib import Path

from pilot import BENCHMARK, finish
from stored_units import store_units

from ctlr.api import Benchmark
from ctlr.config import load
from ctlr.outcome.concluding import outcome_of
from ctlr.plan import make_plan
from ctlr.report.finished import Finished
from ctlr.specs import StudyResult
from ctlr.tracking import Point

TWO_WAYS = BENCHMARK.replace("name: small", "name: small\ndescription: Does sex help with age?").replace(
    "transfers: [", "transfers: [{source: {data: cohort, task: age}, target: {data: cohort, task: sex}}, "
)


def finished(folder: Path, text: str) -> Finished:
    (folder / "small.yaml").write_text(text)
    config = load(folder / "small.yaml")
    store_units(folder / "workspace", "a", {"age": "years"})
    for study in make_plan(config).studies:
        if study.target.task.name == "age":
            finish(study, folder / "workspace")
    results = [
        StudyResult.model_validate_json(path.read_text())
        for path in sorted((folder / "workspace").glob("studies/*/result.json"))
    ]
    return Finished(config=config, root=folder / "workspace", results=tuple(results))


def test_gains_have_their_intervals_and_counts_at_the_number_of_labels(tmp_path: Path) -> None:
    found = finished(tmp_path, BENCHMARK)
    outcome = outcome_of(found, tmp_path / "report.html")
    rows = Benchmark(found).gains
    assert len(rows) == 4
    expected = {
        Point(f"{name}/{row.method}", float(getattr(row, column)), row.n_train)
        for row in rows.itertuples()
        for name, column in (
            ("gain", "gain"), ("gain_low", "low"), ("gain_high", "high"), ("gain_seeds", "n_seeds"),
            ("gain_subjects", "n_subjects"),
        )
    }  # fmt: skip
    assert set(outcome.points) == expected
    assert outcome.report == tmp_path
    assert outcome.studies == {result.study.id for result in found.results}


def test_the_best_model_goes_by_the_benchmarks_name_and_says_why(tmp_path: Path) -> None:
    found = finished(tmp_path, BENCHMARK)
    ((name, best),) = outcome_of(found, tmp_path / "report.html").best.items()
    assert name == "small"
    study = next(result.study for result in found.results if result.study.id == best.study)
    assert study.n_train == 50
    assert best.words.startswith(f"Age, transfer from sex: {study.method.label} on small_cnn, 50 labelled training")


def test_the_description_asks_and_answers(tmp_path: Path) -> None:
    text = outcome_of(finished(tmp_path, TWO_WAYS), tmp_path / "report.html").description
    asked, answered = text.split("\n\n")
    assert asked == "Does sex help with age?"
    assert answered.startswith("**Age, transfer from sex.** ")
    assert "labelled subjects (training + validation)" in answered
