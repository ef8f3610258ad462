import csv
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from finished_bench import finished

from ctlr.methods.supervised import SupervisedSpec
from ctlr.report.page import build_report


def build(benchmark: Any, out: Path, **options: Any) -> Path:
    given: dict[str, Any] = {"environment": {"ctlr": "0.1.0"}, "seconds": 283.0}
    return build_report(finished(benchmark, **given | options), out)


@pytest.fixture(scope="module")
def both(age: Any, digits: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a regression and a classification that lie in one workspace."""
    merged = type(age)(age.root, [*age.results])
    for result in digits.results:
        (age.root / result.path).symlink_to(digits.root / result.path)
        merged.results.append(result)
    return build(merged, tmp_path_factory.mktemp("both"))


def test_the_page_is_well_formed_and_stands_alone(read: Callable[[Path], Any], both: Path) -> None:
    page = read(both)
    assert "url(http" not in both.read_text()
    assert "@import" not in both.read_text()
    assert "Age, transfer from sex" in page.text
    assert "High, transfer from low" in page.text


def test_the_page_opens_with_the_answer(read: Callable[[Path], Any], both: Path) -> None:
    text = read(both).text
    assert (
        "Answer 2 of 2 transfers gain over training from scratch. From low to high, ‘supervised’ raises balanced "
        "accuracy by 0.200 (95 % interval 0.134 to 0.266) at 20 + 20 labelled subjects."
    ) in text
    assert (
        "Age, transfer from sex At 20 + 20 labelled subjects (training + validation), ‘supervised’ lowers MAE by 2.8 "
        "years"
    ) in text


def test_every_part_is_there_in_its_order(both: Path) -> None:
    text = both.read_text()
    parts = ["Answer", "Which transfers gain", "Learning curves", "Age, transfer from sex", "Scores",
             "Gain over training from scratch", "Predictions and brain-age gap", "Train, validation and test",
             "High, transfer from low",
             "ROC, calibration and confusion", "What was compared", "Time and cost", "Failed studies",
             "Excluded images", "How to read this", "Provenance"]  # fmt: skip
    places = []
    for part in parts:
        places.append(text.index(f">{part}</h", places[-1] if places else 0))
    assert places == sorted(places)


def test_tables_lie_beside_it_in_three_formats(both: Path) -> None:
    names = {file.name for file in (both.parent / "tables").iterdir()}
    for stem in ("data", "scores", "gains", "splits", "metrics"):
        for slug in ("age-from-sex-small", "high-from-low-small"):
            assert {f"{stem}-{slug}.{suffix}" for suffix in ("csv", "md", "tex")} <= names
    assert {"gap-age-from-sex-small.csv", "time.csv", "steps.csv", "failed.csv", "excluded.csv", "methods.csv"} <= names
    with (both.parent / "tables" / "scores-age-from-sex-small.csv").open() as stream:
        row = next(row for row in csv.DictReader(stream) if (row["method"], row["n_train"]) == ("supervised", "20"))
    assert (float(row["mean"]), row["metric"], row["n_seeds"]) == (pytest.approx(8.2), "mae", "3")


def test_results_are_one_row_a_study(both: Path) -> None:
    with (both.parent / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 36 + 24
    assert float(rows[0]["test_mae"]) == pytest.approx(14.6274)


def test_the_model_card_picks_the_best_by_validation_and_says_what_it_is_not_for(both: Path) -> None:
    card = (both.parent / "model-card.md").read_text().replace("\u00a0", " ")
    assert card.count("**Method:** supervised, chosen by its validation score") == 2
    assert "**MAE (years):** 6.6 (95 % interval " in card
    assert "It is no medical device" in card


def test_equal_results_give_equal_bytes(both: Path, age: Any, tmp_path: Path) -> None:
    first, second = (build(age, tmp_path / name).parent for name in ("first", "second"))
    files = sorted(file.relative_to(first) for file in first.rglob("*") if file.is_file())
    assert len(files) > 20
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)


def test_nothing_that_names_a_person_or_a_place_leaves(
    read: Callable[[Path], Any], new_benchmark: Callable[..., Any], tmp_path: Path
) -> None:
    benchmark = new_benchmark(methods=("scratch", "supervised"), sizes=(20,), seeds=(0, 1))
    report = build(
        benchmark,
        tmp_path / "out",
        excluded=("cohort: the file is truncated: 3 bytes",),
    )
    assert "the file is truncated: 3 bytes" in read(report).text
    written = [file for file in report.parent.rglob("*") if file.is_file()]
    listed = {file.stem.split("-")[0] for file in written if _hashes(benchmark) & set(_words(file))}
    assert listed == {"report", "extremes"}  # best and worst, and nobody else
    assert len(_hashes(benchmark) & set(_words(report))) == 4 + 2
    for file in written:
        assert str(tmp_path) not in file.read_text(), file.name


def _hashes(benchmark: Any) -> set[str]:
    """Of every subject that was tested: not secret, and of use to whoever has the workspace."""
    file = benchmark.root / benchmark.results[0].path / "predictions.csv"
    return {line.split(",")[0] for line in file.read_text().splitlines() if ",test," in line}


def _words(file: Path) -> list[str]:
    return re.findall(r"[0-9a-f]{12}", file.read_text())


def test_labels_are_text_whatever_they_hold(
    read: Callable[[Path], Any], new_benchmark: Callable[..., Any], tmp_path: Path
) -> None:
    benchmark = new_benchmark(methods=("scratch", "supervised"), sizes=(20,), seeds=(0,))
    label = "<script>alert('&')</script>_$"
    last = benchmark.results[-1]
    study = last.study.model_copy(update={"method": SupervisedSpec(label=label)})
    benchmark.results[-1] = last.model_copy(update={"study": study})
    report = build(benchmark, tmp_path, name=label)
    assert label in read(report).text
    assert "<script>alert" not in report.read_text()
    assert report.read_text().count("<script") == 1  # the page's own


@pytest.mark.parametrize(
    ("factors", "answer"),
    [
        ({"methods": ("scratch",), "sizes": (20,), "seeds": (0,)}, "Only training from scratch was run"),
        ({"methods": ("mean",), "sizes": (20,), "seeds": (0,)}, "No training from scratch finished"),
        ({"methods": ("supervised",)}, "No training from scratch finished, so no gain can be given. At 100"),
        ({"methods": ("mean", "scratch", "vat"), "sizes": (20,), "seeds": (0,)}, "One seed supports no verdict"),
        ({"methods": ("scratch", "simclr"), "sizes": (100,)}, "Nothing wins: at 100 + 100 labelled subjects"),
    ],
)
def test_a_small_benchmark_is_a_correct_page(
    read: Callable[[Path], Any], new_benchmark: Callable[..., Any], tmp_path: Path, factors: dict[str, Any], answer: str
) -> None:
    assert answer in read(build(new_benchmark(**factors), tmp_path / "out")).text


def test_an_answer_that_is_short_is_said_once(
    read: Callable[[Path], Any], new_benchmark: Callable[..., Any], tmp_path: Path
) -> None:
    text = read(build(new_benchmark(methods=("scratch", "simclr"), sizes=(100,)), tmp_path / "out")).text
    assert text.count("Nothing wins") == 1
    assert text.count("a gain would have been seen with a chance of 80 %") == 1
    assert "The whole answer, in words" not in text


def test_one_seed_has_no_verdict_anywhere(
    read: Callable[[Path], Any], new_benchmark: Callable[..., Any], tmp_path: Path
) -> None:
    # Between these two the interval over subjects lies far from zero.
    benchmark = new_benchmark(methods=("mean", "scratch", "supervised"), sizes=(20,), seeds=(0,))
    folder = build(benchmark, tmp_path / "out").parent
    with (folder / "tables" / "gains-age-from-sex-small.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert float(row["low"]) > 0
    assert (row["verdict"], row["stands"], row["p"], row["p_holm"]) == ("not tested", "no", "", "")
    text = read(folder / "report.html").text.replace("\u00a0", " ")
    assert "List five seeds or more." in text
    assert "95 % interval (over subjects only)" in text
    assert "measurably" not in text
    card = (folder / "model-card.md").read_text().replace("\u00a0", " ")
    assert "verdict: not tested" in card
    assert "95 % interval (over subjects only)" in card


def test_without_a_finished_study_the_page_says_so_and_why(
    read: Callable[[Path], Any], new_benchmark: Callable[..., Any], tmp_path: Path
) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,), seeds=(0, 1))
    studies, benchmark.results = [result.study for result in benchmark.results], []
    for study in studies:
        benchmark.fail(study, "the loss is no number at epoch 3")
    page = read(build(benchmark, tmp_path / "out"))
    assert "No study finished, so there is nothing to compare." in page.text
    assert page.text.count("the loss is no number at epoch 3") == 2
    assert "No model finished training." in (tmp_path / "out" / "model-card.md").read_text()


def test_without_any_study_the_page_says_so(
    read: Callable[[Path], Any], new_benchmark: Callable[..., Any], tmp_path: Path
) -> None:
    page = read(build(new_benchmark(methods=()), tmp_path / "out", seconds=0.0))
    assert "There is no study, so there is nothing to compare." in page.text


def test_two_encoders_are_told_apart(
    read: Callable[[Path], Any], new_benchmark: Callable[..., Any], tmp_path: Path
) -> None:
    from ctlr.specs import EncoderSpec

    benchmark = new_benchmark(methods=("scratch", "supervised"), sizes=(20,), seeds=(0,))
    big = EncoderSpec(label="big", name="sfcn")
    benchmark.results += [
        result.model_copy(update={"study": result.study.model_copy(update={"encoder": big})})
        for result in benchmark.results
    ]
    page = read(build(benchmark, tmp_path / "out"))
    assert "Age, transfer from sex, encoder small" in page.text
    assert "Age, transfer from sex, encoder big" in page.text


def test_the_level_of_the_intervals_is_the_one_that_was_asked_for(
    read: Callable[[Path], Any], new_benchmark: Callable[..., Any], tmp_path: Path
) -> None:
    benchmark = new_benchmark(methods=("scratch", "supervised"), sizes=(20,))
    page = read(build(benchmark, tmp_path / "out", level=0.9))
    assert "90 % interval" in page.text
    assert "95 %" not in page.text


def test_the_report_loads_no_torch_and_its_front_no_matplotlib() -> None:
    code = (
        "import sys, ctlr.report.page; assert not {'torch', 'matplotlib', 'sklearn'} & set(sys.modules);"
        "import ctlr.report.sections; assert not {'torch', 'mlflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_provenance_says_which_layers_were_trained_in_which_precision(
    read: Callable[[Path], Any], age: Any, tmp_path: Path
) -> None:
    mixed = "cpu bf16 channels_last_3d; 2 of 8 convolutions in float32 (blocks.3.0, blocks.4.0)"
    trained = [result for result in age.results if result.parameters]
    results = [result.model_copy(update={"device": mixed}) for result in trained]
    results[0] = results[0].model_copy(update={"device": "cpu float32 contiguous_format"})
    text = read(build(type(age)(age.root, results), tmp_path)).text
    encoder = trained[0].study.encoder.label
    assert f"{encoder} {mixed} {len(trained) - 1}" in text
    assert f"{encoder} cpu float32 contiguous_format 1" in text
