"""A benchmark as a value of Python: the same as the command line says, and what a person would reach for."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from terminal import call
from tiny_bench import TINY, Bench, search_of

import ctlr
from ctlr import api

FILE = """\
baselines: [linear]
tuning:
  experiments: {supervised: rate.yaml, scratch: rate.yaml}
  trials: 2
  parallel: 1
  share: false
"""


def folder_with(text: str, folder: Path) -> Path:
    (folder / "rate.yaml").write_text(search_of("finetune.lr"))
    (folder / "tiny.yaml").write_text(text)
    return folder / "tiny.yaml"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods at two sizes with two seeds, tuned."""
    text = TINY.replace("supervised: {finetune: {n_frozen: 1}}, simclr: {}, vat: {}", "supervised: {}")
    return folder_with(
        text.replace("seeds: [0]", "seeds: [0, 1]").replace("baselines: []\n", FILE), tmp_path_factory.mktemp("api")
    )


@pytest.fixture(scope="module")
def told() -> list[ctlr.Progress]:
    return []


@pytest.fixture(scope="module")
def ran(file: Path, bench: Bench, told: list[ctlr.Progress]) -> ctlr.Benchmark:
    """The benchmark after its run in a workspace that has the images already."""
    workspace = ctlr.load(file).file.parent / "workspace"
    workspace.mkdir()
    for kind in ("arrays", "cohorts"):
        (workspace / kind).symlink_to(bench.workspace.root / kind)
    (workspace / "workspace.json").write_text((bench.workspace.root / "workspace.json").read_text())
    return ctlr.load(file).run(workspace, workers=1, progress=told.append)


# ---------------------------------------------------------------- the door


def test_everything_public_is_there_and_has_words() -> None:
    for name in ctlr.__all__:
        assert getattr(ctlr, name).__doc__
        assert name in dir(ctlr)
    for value in (ctlr.BenchmarkFile, ctlr.Benchmark, ctlr.Best, ctlr.Preview, ctlr.Tuned, ctlr.Progress):
        for name in [name for name in vars(value) if not name.startswith("_")]:
            assert callable(getattr(value, name, None)) is False or getattr(value, name).__doc__, (value, name)
    assert set(api.__all__) < set(ctlr.__all__)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        ctlr.lode  # noqa: B018


def modules_after(program: str) -> set[str]:
    """Top-level modules that a program has loaded."""
    ending = "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program + ending], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_loads_no_torch_and_nothing_else_that_is_slow() -> None:
    slow = {"torch", "torchvision", "mlflow", "scipy", "sklearn", "matplotlib", "optuna", "kubernetes", "kfp"}
    slow |= {"pandas", "numpy", "pydantic", "rich", "typing"}
    assert modules_after("import sys; before = set(sys.modules); import ctlr; "
                         "[sys.modules.pop(name) for name in before if name != 'sys']").isdisjoint(slow)  # fmt: skip


def test_names_and_a_plan_load_no_torch(file: Path) -> None:
    found = modules_after(
        f"import ctlr; ctlr.load({str(file)!r}).plan('no-workspace'); ctlr.tune; ctlr.open; ctlr.Best"
    )
    assert found.isdisjoint({"torch", "torchvision", "mlflow", "pandas", "sklearn", "matplotlib", "kubernetes", "kfp"})


# ---------------------------------------------------------------- a file and its plan


def test_overrides_are_values_or_texts(file: Path) -> None:
    by_value = ctlr.load(file, overrides={"seeds": [4], "training.finetune.epochs": 9})
    assert by_value.config.seeds == (4,)
    assert by_value.config.methods["scratch"].finetune.epochs == 9
    assert ctlr.load(file, overrides=["seeds=[4]", "training.finetune.epochs=9"]) == by_value


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ctlr.ConfigError) as told:
        ctlr.load(folder_with(TINY.replace("simclr", "simlcr").replace("seeds: [0]", "seeds: []"), tmp_path))
    assert "Did you mean 'simclr'?" in str(told.value)
    assert "seeds" in str(told.value)


def test_a_plan_is_what_the_command_prints(tiny_file: Path, tmp_path: Path) -> None:
    plan = ctlr.load(tiny_file).plan(tmp_path / "none", workers=2)
    shown = call("plan", str(tiny_file), "-w", "none", "--workers", "2", "-o", "json", folder=tmp_path)
    assert json.loads(shown.out) | plan.summary == json.loads(shown.out)
    assert (len(plan.plan.studies), len(plan.plan.pretrainings), plan.estimated_seconds) == (10, 2, None)
    assert plan.subjects == {"cohort": 48}
    assert plan.costs["steps"].sum() == plan.summary["steps_left"] == 1 + 2 + 8
    assert "10 studies share 2 pretrainings" in plan._repr_html_()
    assert not (tmp_path / "none").exists()


# ---------------------------------------------------------------- a run


def test_a_function_is_told_of_every_step(ran: ctlr.Benchmark, told: list[ctlr.Progress]) -> None:
    assert ran.failed == 0
    kinds = {event.kind for event in told}
    assert kinds == {"preprocess", "tune", "pretrain", "study"}
    last = told[-1]
    assert last.steps_done == last.steps > 8
    epochs = [event.text for event in told if event.kind == "study" and event.state == "progress"]
    assert all("train_loss=" in text for text in epochs)
    assert {event.text for event in told if event.kind == "study" and event.state == "finished"} == {""}


def test_results_are_those_of_the_command_line(ran: ctlr.Benchmark, file: Path) -> None:
    shown = call("report", "-w", str(ran.workspace), "-o", "json", folder=file.parent)
    records = json.loads(shown.out)["results"]
    results = ran.results
    assert len(results) == len(records) == 16
    for record, (_, row) in zip(records, results.iterrows(), strict=True):
        known = {key: value for key, value in row.items() if not pd.isna(value)}
        assert known == {key: value for key, value in record.items() if value != ""}
    assert json.loads(shown.out)["report"] == str(ran.report())


def test_a_second_run_and_an_opened_workspace_are_the_same(ran: ctlr.Benchmark, file: Path) -> None:
    opened, again = ctlr.open(ran.workspace), ctlr.load(file).run(ran.workspace, workers=1)
    for other in (opened, again):
        pd.testing.assert_frame_equal(other.results, ran.results)
        pd.testing.assert_frame_equal(other.gains, ran.gains)
    assert opened.report().read_bytes() == ran.report().read_bytes()
    assert repr(opened) == f"<ctlr.Benchmark 'tiny': 16 studies, 0 failed, in {ran.workspace}>"


def test_progress_shows_what_the_command_line_shows(
    ran: ctlr.Benchmark, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ctlr.load(file).run(ran.workspace, workers=1, progress=True)
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"tiny: 16 studies, 1 workers, workspace {ran.workspace}\n")
    assert told.err.endswith("Everything is finished already.\n")


def test_a_script_needs_no_guard_around_a_run(ran: ctlr.Benchmark, file: Path, tmp_path: Path) -> None:
    """Workers are spawned, and would else run the script again."""
    script = tmp_path / "script.py"
    overrides = {
        "name": "script",
        "seeds": [2],
        "tuning": None,
        "methods": {"scratch": {}},
        "sample_sizes": [6],
        "baselines": [],
    }
    script.write_text(
        f"import ctlr\nfound = ctlr.load({str(file)!r}, overrides={overrides!r})"
        f".run({str(ran.workspace)!r}, workers=1)\nprint(found.results['status'].tolist())\n"
    )
    before = (ran.workspace / "last.json").read_bytes()
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    (ran.workspace / "last.json").write_bytes(before)
    assert (done.stdout, done.stderr) == ("['ok', 'ok']\n", "")


# ---------------------------------------------------------------- tables


def test_predictions_give_the_scores_again(ran: ctlr.Benchmark) -> None:
    rows = ran.predictions
    rows["error"] = (rows["y_true"] - rows["y_pred"]).abs()
    mae = rows[rows["split"] == "test"].groupby("study")["error"].mean()
    results = ran.results.set_index("study")["test_mae"]
    pd.testing.assert_series_equal(mae, results.loc[mae.index], check_names=False, rtol=1e-4)
    assert set(rows["split"]) == {"train", "validation", "test"}
    assert rows["subject"].str.fullmatch("[0-9a-f]{12}").all()


def test_a_gain_is_the_mean_difference_of_errors_paired_by_seed_and_subject(ran: ctlr.Benchmark) -> None:
    rows = ran.predictions
    rows["error"] = (rows["y_true"] - rows["y_pred"]).abs()
    tested = rows[(rows["split"] == "test") & (rows["n_train"] == 10)]
    errors = tested.pivot_table(index=["seed", "subject"], columns="method", values="error")
    (gain,) = ran.gains.query("n_train == 10").to_dict("records")
    assert (gain["method"], gain["baseline"], gain["unit"]) == ("supervised", "scratch", "years")
    assert gain["gain"] == pytest.approx((errors["scratch"] - errors["supervised"]).mean(), rel=1e-4)
    assert gain["low"] < gain["gain"] < gain["high"]
    assert gain["stands"] in (True, False)
    assert (gain["n_seeds"], gain["n_subjects"]) == (2, 12)


def test_scores_are_means_over_the_seeds(ran: ctlr.Benchmark) -> None:
    known = ran.results.groupby(["method", "n_train"])["test_mae"].mean()
    scores = ran.scores.set_index(["method", "n_train"])["mean"]
    assert set(known.index) == set(scores.index)
    np.testing.assert_allclose(scores, known.loc[scores.index], rtol=1e-5)


def test_searches_hold_every_trial_with_its_options(ran: ctlr.Benchmark) -> None:
    rows = ran.searches
    assert rows.groupby(["method", "n_train"]).size().to_dict() == {
        ("scratch", 6): 2, ("scratch", 10): 2, ("supervised", 6): 2, ("supervised", 10): 2,
    }  # fmt: skip
    assert rows["finetune.lr"].between(1e-4, 1e-2).all()
    assert (rows["metric"] == "val_mae").all()


def test_an_untuned_benchmark_has_an_empty_table_of_trials_with_its_columns(tiny_file: Path) -> None:
    from ctlr.report.finished import Finished

    finished = Finished(config=ctlr.load(tiny_file).config, root=tiny_file.parent, results=())
    searches = ctlr.Benchmark(finished).searches
    assert len(searches) == 0
    assert {"method", "trial", "value"} <= set(searches.columns)


def test_without_pandas_a_table_names_the_extra(ran: ctlr.Benchmark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ctlr.MissingExtraError, match=r"pip install 'ctlr\[pandas\]'"):
        ran.results  # noqa: B018


# ---------------------------------------------------------------- the best


def test_the_best_has_the_best_mean_validation_score_at_the_largest_size(ran: ctlr.Benchmark) -> None:
    results = ran.results.query("n_train == 10 and method in ('scratch', 'supervised')")
    means = results.groupby("method")["validation_mae"].mean()
    best = ran.best()
    assert (best.method, best.n_train, best.metric, best.unit) == (means.idxmin(), 10, "mae", "years")
    assert best.validation == pytest.approx(means.min())
    seeds = results[results["method"] == best.method].set_index("seed")["validation_mae"]
    assert best.seed == seeds.idxmin()
    assert best.model == ctlr.serving.best_model(ran.workspace, "tiny")
    assert (best.score.mean, best.source if best.method == "supervised" else "cohort.sex") == (
        pytest.approx(ran.results.query("n_train == 10 and method == @best.method")["test_mae"].mean()), "cohort.sex",
    )  # fmt: skip


def test_the_best_says_how_sure_it_is_as_the_report_does(ran: ctlr.Benchmark) -> None:
    best = ran.best(method="supervised", n_train=6)
    (row,) = ran.gains.query("n_train == 6").to_dict("records")
    assert (best.gain.mean, best.gain.low, best.gain.high) == (row["gain"], row["low"], row["high"])
    assert (best.gain.verdict, best.gain.stands) == (row["verdict"], row["stands"])
    assert best.sure == (row["stands"] and row["gain"] > 0)
    assert best.over_baseline is not None
    assert best.answer in ran.report().read_text()
    tuned = ran.searches.query("n_train == 6 and method == 'supervised'")
    assert best.options["finetune.lr"] == pytest.approx(tuned.loc[tuned["value"].idxmin(), "finetune.lr"])
    assert ran.best(method="scratch").gain is None


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"target": "cohort.height"}, "0 fit. There are: target cohort.age, source cohort.sex, encoder small_cnn."),
        ({"source": "cohort.age"}, "0 fit"),
        ({"method": "linear"}, "There are: scratch, supervised."),
        ({"n_train": 7}, "There are: 6, 10."),
    ],
)
def test_what_is_not_there_is_named(ran: ctlr.Benchmark, asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ctlr.ConfigError) as error:
        ran.best(**asked)
    assert words in str(error.value)
    assert ran.best(target="age", source="cohort.sex", encoder="small_cnn").n_train == 10


def test_a_notebook_shows_plans_results_and_the_best(ran: ctlr.Benchmark, file: Path) -> None:
    shown = ran._repr_html_()
    for words in ("16 of 16 studies finished", "<td>supervised</td>", "n = 10 + 10", ran.answer.replace("'", "&#x27;")):
        assert words in shown
    assert "nothing is left to do" in ctlr.load(file).plan(ran.workspace)._repr_html_()
    best = ran.best()
    assert f"<td>{best.method}</td>" in best._repr_html_()
    assert f"method: {best.method}" in str(best)
    assert "<td>6, 10</td>" in ctlr.load(file)._repr_html_()


def test_a_workspace_without_a_run_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(ctlr.ConfigError, match="holds no run"):
        ctlr.open(tmp_path)


# ---------------------------------------------------------------- a search of a function


def bowl(lr: float, depth: int, norm: str | None) -> float:
    """Least, 0, at lr = 0.01, depth 2 and no norm."""
    return (np.log10(lr) + 2) ** 2 + (depth - 2) ** 2 + (norm is not None)


SPACE = {"lr": ctlr.space.loguniform(1e-4, 1e-1), "depth": ctlr.space.integers(1, 3), "norm": ["batch", None]}


def test_a_function_is_called_with_values_of_their_types() -> None:
    seen: list[dict[str, Any]] = []
    ctlr.tune(lambda **values: seen.append(values) or 0.0, {
        "a": [8, 16], "b": [0.5, 1], "c": [True, None, "x"], "d": ctlr.space.uniform(0, 1, step=0.25),
        "e": ctlr.space.integers(2, 4), "f": ctlr.space.choice([(1, 2), (3,)]),
    }, trials=12, algorithm="random", seed=3)  # fmt: skip
    assert {name: {type(values[name]) for values in seen} for name in "adef"} == {
        "a": {int}, "d": {float}, "e": {int}, "f": {tuple},
    }  # fmt: skip
    assert {str(values["c"]) for values in seen} == {"True", "None", "x"}
    assert {values["b"] for values in seen} == {0.5, 1}


def test_tuning_finds_the_bottom_of_a_bowl_and_repeats_with_its_seed() -> None:
    first, second = (ctlr.tune(bowl, SPACE, trials=40, seed=0) for _ in range(2))
    assert first.value == pytest.approx(bowl(**first.best))
    assert first.value < 0.1
    assert (first.best["depth"], first.best["norm"]) == (2, None)
    pd.testing.assert_frame_equal(first.table.drop(columns="seconds"), second.table.drop(columns="seconds"))
    assert len(first.table) == 40
    assert first.reason == "ExperimentMaxTrialsReached"
    assert "The best of 40 trials" in first._repr_html_()


def test_a_parameter_that_is_called_like_a_column_has_one_of_its_own() -> None:
    found = ctlr.tune(lambda seconds, x: seconds, {"seconds": [30, 60], "x": [1]}, algorithm="grid", trials=2)
    assert list(found.table["params_seconds"]) == [30, 60]
    assert found.table["seconds"].max() < 10
    assert list(found.table["x"]) == [1, 1]


def test_large_values_metrics_and_a_goal() -> None:
    found = ctlr.tune(
        lambda x: {"loss": 1.0, "accuracy": x}, {"x": [0.1, 0.5, 0.9]},
        metric="accuracy", direction="maximize", algorithm="grid", trials=3, goal=0.5,
    )  # fmt: skip
    assert found.best == {"x": 0.5}
    assert found.reason == "ExperimentGoalReached"


def test_a_trial_that_raises_fails_by_itself() -> None:
    def moody(x: int) -> float:
        if x == 2:
            raise ValueError("not 2")
        return x

    found = ctlr.tune(moody, {"x": [1, 2, 3]}, algorithm="grid", trials=3)
    assert found.best == {"x": 1}
    assert found.table.set_index("x").loc[2, "reason"] == "ValueError: not 2"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda x: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda x: float("nan"), r"reported no value that is a finite number\b"),
    ],
)
def test_a_search_without_a_value_says_why(answer: Callable[[int], float], why: str) -> None:
    found = ctlr.tune(answer, {"x": [1, 2]}, algorithm="grid", trials=2)
    assert found.optimum is None
    with pytest.raises(ctlr.TrainingError, match=why):
        found.best  # noqa: B018


def test_a_manifest_is_a_file_a_text_or_a_mapping(tmp_path: Path) -> None:
    text = search_of("finetune.lr")
    (tmp_path / "search.yaml").write_text(text)
    from ruamel.yaml import YAML

    for manifest in (tmp_path / "search.yaml", str(tmp_path / "search.yaml"), text, YAML(typ="safe").load(text)):
        found = ctlr.tune(lambda rate: rate, manifest, trials=3)
        assert len(found.trials) == 3
        assert 1e-4 <= found.value <= 1e-2
        assert found.experiment.objective.metric == "val_mae"


def test_a_journal_goes_on(tmp_path: Path) -> None:
    told: list[str] = []
    first = ctlr.tune(
        bowl, SPACE, trials=4, seed=0, folder=tmp_path / "search", progress=lambda t: told.append(t.status)
    )
    again = ctlr.tune(bowl, SPACE, trials=4, seed=0, folder=tmp_path / "search", resume=True)
    assert again.trials == first.trials
    assert told.count("Succeeded") == 4


@pytest.mark.parametrize(
    ("search", "options", "told"),
    [
        ({}, {}, "A space needs a parameter"),
        ({"x": 3}, {}, "x: a dimension is a list of values"),
        ({"x": [1, 2]}, {"trials": 0}, "`trials` must be a whole number, 1 or more; got 0."),
        ({"x": [1, 2]}, {"trials": "3"}, "`trials` must be a whole number, 1 or more; got '3'."),
        ({"x": [1, 2]}, {"goal": "a"}, "`goal` must be a number; got 'a'."),
        ({"x": [1, 2]}, {"seconds": "10"}, "`max_seconds` must be a number; got '10'."),
        ({"x": [1, 2]}, {"algorithm": "tpee"}, "Did you mean 'tpe'?"),
        ({"x": [1, 2]}, {"resume": True}, "name its `folder`"),
        (search_of("finetune.lr"), {"seed": 1}, "`seed` belongs to a space"),
        ("no-such.yaml", {}, "no-such.yaml"),
    ],
)
def test_a_search_that_cannot_be_is_refused(search: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(ctlr.ConfigError) as error:
        ctlr.tune(bowl, search, **options)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: ctlr.space.uniform(1, 0), "low < high; got 1 to 0."),
        (lambda: ctlr.space.uniform(0, float("inf")), "finite ends"),
        (lambda: ctlr.space.uniform("0", "1"), "A range needs numbers; got '0'."),  # type: ignore[arg-type]
        (lambda: ctlr.space.uniform(0, 10**400), "A range needs numbers; got 1000"),
        (lambda: ctlr.space.integers(0, "3"), "A range needs numbers; got '3'."),  # type: ignore[arg-type]
        (lambda: ctlr.space.integers(0, float("inf")), "needs whole numbers; got inf."),  # type: ignore[arg-type]
        (lambda: ctlr.space.loguniform(0, 1), "`loguniform` needs low > 0; got 0."),
        (lambda: ctlr.space.uniform(0, 1, step=2), "got 2."),
        (lambda: ctlr.space.integers(0, 1.5), "needs whole numbers; got 1.5."),
        (lambda: ctlr.space.choice([]), "got none"),
        (lambda: ctlr.space.choice([1, 1]), "each value once; got [1, 1]."),
    ],
)
def test_a_dimension_that_cannot_be_is_refused(make: Any, told: str) -> None:
    with pytest.raises(ctlr.ConfigError) as error:
        make()
    assert told in str(error.value)
