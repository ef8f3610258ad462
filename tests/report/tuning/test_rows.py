from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ctlr.report.numbers.contests import contests, load
from ctlr.report.tuning import rows as tuning
from ctlr.report.tuning.importance import importance
from ctlr.report.tuning.rows import Spread
from ctlr.report.tuning.selection import selection_rows
from ctlr.report.tuning.stages import best_so_far, course, join_rounds, search_records
from ctlr.report.tuning.tables import choices_table, failures_table, ledger_table, range_words
from ctlr.report.tuning.words import budget_words, searched
from ctlr.specs import AlgorithmSpec, EncoderSpec, Parameter, SearchResult


@pytest.fixture
def cheap(searching: Any) -> Any:
    """A search of so many trials, each of so many seconds."""

    def make(method: str, trials: int, seconds: float = 1.0, n_train: int = 20, **more: Any) -> SearchResult:
        tried = [searching.trial(number, 1.0 + number, seconds=seconds) for number in range(trials)]
        return searching.search(searching.study(method, n_train), searching.stage(tried), **more)

    return make


# ---------------------------------------------------------------- cost


def test_the_ledger_charges_shared_work_in_equal_parts(searching: Any) -> None:
    pretraining = searching.stage(
        [searching.trial(number, 0.5, seconds=30.0) for number in range(6)], stage="pretrain", shared_by=3
    )
    statuses = ("Succeeded", "Failed", "EarlyStopped", "Killed")
    finetuning = searching.stage(
        [searching.trial(n, None if s == "Failed" else 5.0, status=s, seconds=10.0) for n, s in enumerate(statuses)]
    )
    search = searching.search(
        searching.study("simclr", 20), pretraining, finetuning, pretrain_seconds=33.0, pretrain_shared_by=3
    )
    row, total = tuning.ledger_rows([search])
    assert (row.trials, row.succeeded, row.failed, row.stopped, row.killed) == (pytest.approx(6), 3, 1, 1, 1)
    assert row.seconds == pytest.approx(6 * 30 / 3 + 40)
    assert row.pretrain_seconds == 11
    assert row.total == pytest.approx(search.seconds) == pytest.approx(111)
    assert (total.n_train, total.total) == (None, row.total)


def test_a_sum_over_the_sizes_ends_each_line(cheap: Any) -> None:
    rows = tuning.ledger_rows([cheap("scratch", n, n_train=size) for size, n in ((50, 12), (20, 10))])
    assert [(row.n_train, row.trials) for row in rows] == [(20, 10), (50, 12), (None, 22)]
    assert [row[1].text for row in ledger_table(rows).rows] == ["20", "50", "all"]


def test_spread_is_the_range_over_the_mean() -> None:
    assert Spread.of([90, 100, 110]) == Spread(least=90, most=110, share=pytest.approx(0.2))
    assert Spread.of([0.0, 0.0]).share == 0


def test_methods_are_held_against_each_other_at_every_size_and_in_sum(cheap: Any) -> None:
    trials = {("scratch", 20): 10, ("scratch", 50): 30, ("vat", 20): 30, ("vat", 50): 10}
    rows = tuning.spread_rows(tuning.ledger_rows([cheap(m, n, n_train=size) for (m, size), n in trials.items()]))
    assert [(row.n_train, row.trials.share) for row in rows] == [(20, 1.0), (50, 1.0), (None, 0.0)]


@pytest.mark.parametrize(("percent", "flagged"), [(4.9, False), (5.1, True)])
def test_more_than_five_percent_of_budgeted_seconds_are_flagged(cheap: Any, percent: float, flagged: bool) -> None:
    seconds = (2 + percent / 100) / (2 - percent / 100)
    rows = tuning.spread_rows(tuning.ledger_rows([cheap("scratch", 10, 1.0), cheap("vat", 10, seconds)]))
    assert rows[0].seconds.share == pytest.approx(percent / 100)
    words = budget_words(rows, "seconds").replace("\u00a0", " ")
    assert words.startswith("The budget was set in device seconds.")
    assert (f"Uneven budget: methods differ by {percent} % in device seconds" in words) is flagged
    assert "in trials they differ by at most 0.0 %." in words
    assert "Uneven" not in budget_words(rows, "trials")
    assert "Every method was given the same." in budget_words(rows, "trials")


@pytest.mark.parametrize(("trials", "flagged"), [((1000, 1050), False), ((1000, 1053), True)])
def test_more_than_five_percent_of_budgeted_trials_are_flagged(
    cheap: Any, trials: tuple[int, int], flagged: bool
) -> None:
    searches = [cheap(method, count) for method, count in zip(("scratch", "vat"), trials, strict=True)]
    words = budget_words(tuning.spread_rows(tuning.ledger_rows(searches)), "trials")
    assert ("Uneven budget" in words) is flagged


def test_one_method_has_nothing_to_be_compared_with(cheap: Any) -> None:
    assert tuning.spread_rows(tuning.ledger_rows([cheap("scratch", 3), cheap("scratch", 9, n_train=50)])) == []


# ---------------------------------------------------------------- trials in order


def test_the_best_so_far_skips_what_has_no_value() -> None:
    assert best_so_far([None, 5.0, 7.0, None, 4.0], "minimize") == [None, 5, 5, 5, 4]
    assert best_so_far([0.2, 0.1, 0.6], "maximize") == [0.2, 0.2, 0.6]


def test_best_against_cost_counts_what_was_charged_before(searching: Any) -> None:
    values = (9.0, None, 6.0, 8.0)
    tried = [searching.trial(number, value, seconds=10.0) for number, value in enumerate(values)]
    (stage,) = join_rounds([searching.stage(tried)])
    assert course(stage, trials=4, seconds=100.0) == [(5, 110, 9), (6, 120, 9), (7, 130, 6), (8, 140, 6)]


def test_a_failed_trial_never_is_the_best_whatever_it_reported(searching: Any) -> None:
    tried = [searching.trial(0, 5.0), searching.trial(1, 1.0, status="Failed"), searching.trial(2, 4.0)]
    (stage,) = join_rounds([searching.stage(tried, best=2)])
    assert stage.best is not None
    assert stage.best.order == 3


def test_rounds_follow_each_other_in_number_and_time(searching: Any) -> None:
    first = searching.stage([searching.trial(n, 5.0, seconds=4.0, started=3.0 * n) for n in range(2)])
    fine = (Parameter(name="lr", kind="double", low="0.001", high="0.01", distribution="logUniform"),)
    second = searching.stage([searching.trial(0, 4.0, started=1.0)], round=2, parameters=fine)
    (stage,) = join_rounds([first, second])
    assert [(each.order, each.round, each.started) for each in stage.tried] == [(1, 1, 0), (2, 1, 3), (3, 2, 8)]
    assert stage.parameters == searching.space
    assert stage.best is not None
    assert stage.best.order == 3


def test_every_trial_is_one_row_with_its_options(searching: Any) -> None:
    search = searching.search(searching.study("vat", 50), searching.stage([searching.trial(0, 4.5, seconds=2.0)]))
    (row,) = search_records([search])
    expected = {"method": "vat", "n_train": 50, "stage": "finetune", "round": 1, "number": 0, "status": "Succeeded",
                "metric": "val_mae", "value": 4.5, "seconds": 2.0, "started": 0.0}  # fmt: skip
    assert expected.items() <= row.items()
    assert row["finetune.lr"] == search.stages[0].trials[0].assignments["lr"]


# ---------------------------------------------------------------- choices


def test_chosen_options_stand_beside_their_range_and_tell_when_they_touch_its_end(searching: Any) -> None:
    options = {"lr": "0.1", "frozen": "2", "optimiser": "adam"}
    searches = [
        searching.search(searching.study("vat", 20), searching.stage([searching.trial(0, 5.0, assignments=options)])),
        searching.search(searching.study("vat", 50), searching.stage([searching.trial(0, None)])),
    ]
    rows = tuning.choice_rows(searches)
    assert [(row.option, dict(row.values)) for row in rows] == [
        ("finetune.lr", {20: "0.1"}), ("finetune.n_frozen", {20: "2"}), ("finetune.optimiser", {20: "adam"}),
    ]  # fmt: skip
    table = choices_table(rows)
    assert [(row[2].text, row[3].text, row[3].note) for row in table.rows] == [
        ("0.00001 to 0.1, log", "0.1", "at the edge"), ("0 to 4", "2", ""), ("adam, sgd", "adam", ""),
    ]  # fmt: skip


def test_a_range_is_told_with_its_step() -> None:
    assert range_words(Parameter(name="k", kind="int", low="2", high="8", step="2")) == "2 to 8, step 2"


def test_a_failed_trial_that_sizes_share_stands_once(searching: Any) -> None:
    stage = searching.stage([searching.trial(0, None, reason="killed for memory")], stage="pretrain", shared_by=2)
    searches = [searching.search(searching.study("simclr", size), stage) for size in (20, 50)]
    rows = tuning.lost_rows(searches)
    assert [row.sizes for row in rows] == [(20, 50)]
    assert [cell.text for cell in failures_table(rows).rows[0]][1:4] == ["20, 50", "pretraining", "1"]
    assert failures_table(rows).records[0]["reason"] == "killed for memory"


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (("finetune",), "the options of the finetuning, on a fixed pretraining"),
        (("pretrain", "finetune"), "the options of the pretraining by its own score, then"),
        (("joint",), "the options of pretraining and finetuning together"),
    ],
)
def test_the_search_is_told_in_a_sentence(searching: Any, kinds: tuple[str, ...], words: str) -> None:
    tried = [searching.trial(number, 5.0, seconds=2.0) for number in range(4)]
    algorithm = AlgorithmSpec(name="sobol")
    stages = [searching.stage(tried, stage=kind, algorithm=algorithm, parallel=3) for kind in kinds]
    search = searching.search(searching.study("simclr", 20), *stages)
    text = searched([search], tuning.ledger_rows([search]), budget="trials")
    assert f"sobol searched {words}" in text
    assert f"{4 * len(kinds)} trials a search, 3 trials at a time" in text
    assert "first seed (0) only" in text
    assert "no trial read the test set" in text
    assert f"{8 * len(kinds)} device seconds a search" in searched(
        [search], tuning.ledger_rows([search]), budget="seconds"
    )


@pytest.mark.parametrize(
    ("validation", "words"),
    [
        ("holdout", "Trials were judged on validation subjects of the first seed (0) only."),
        ("kfold:5", "Each trial was trained on 5 folds of the train and validation subjects of the first seed (0)."),
        ("repeats:3", "Each trial was trained with the splits of 3 seeds, from the first (0) on."),
    ],
)
def test_how_trials_were_judged_is_told(cheap: Any, validation: str, words: str) -> None:
    search = cheap("scratch", 3)
    assert words in searched([search], tuning.ledger_rows([search]), budget="trials", validation=validation)


# ---------------------------------------------------------------- how sure a choice is


def test_the_lead_is_paired_over_validation_subjects(searching: Any, tmp_path: Path, age: Any) -> None:
    tried = [searching.trial(0, 7.0), searching.trial(1, 6.0), searching.trial(2, 9.0)]
    search = searching.search(searching.study("scratch", 20), searching.stage(tried))
    for trial in tried:  # the same subjects are hard for both: every error shrinks by the same share
        searching.write_validation(tmp_path / search.path / trial.name, trial.value, 40)
    (row,) = selection_rows([search], contests(load(age.results, age.root)), tmp_path, level=0.95)
    assert (row.best, row.runner_up, row.metric) == (6, 7, "mae")
    assert row.gain is not None
    assert row.gain.mean == pytest.approx(1.0)
    assert row.gain.low > 0
    assert (row.gain.verdict, row.gain.n_subjects) == ("not tested", 40)  # two trials of one seed
    assert row.test == pytest.approx(11.0)
    assert row.seeds == 3
    assert row.gap == pytest.approx(5.0)


def test_without_predictions_or_a_retrained_study_there_is_a_dash(searching: Any, tmp_path: Path) -> None:
    search = searching.search(
        searching.study("scratch", 20), searching.stage([searching.trial(0, 7.0), searching.trial(1, 6.0)])
    )
    (row,) = selection_rows([search], [], tmp_path, level=0.95)
    assert (row.best, row.runner_up, row.gain, row.test, row.gap) == (6, 7, None, None, None)


def test_a_metric_that_grows_is_better_when_large(searching: Any, tmp_path: Path, digits: Any) -> None:
    highest = searching.lowest.model_copy(update={"metric": "val_balanced_accuracy", "direction": "maximize"})
    study = next(r.study for r in digits.results if r.study.method.label == "scratch" and r.study.n_train == 20)
    tried = [searching.trial(0, 0.65), searching.trial(1, 0.5)]
    search = searching.search(study, searching.stage(tried, objective=highest))
    found = contests(load(digits.results, digits.root))
    (row,) = selection_rows([search], found, tmp_path, level=0.95)
    assert (row.best, row.runner_up) == (0.65, 0.5)
    assert row.gap == pytest.approx(0.05, abs=0.005)


def test_an_encoder_that_was_tuned_stays_in_its_section(age: Any) -> None:
    results = [
        result.model_copy(
            update={"study": result.study.model_copy(update={"encoder": EncoderSpec(
                label="small", name="small_cnn", width=1.0 + result.study.n_train / 100)})}
        )
        for result in age.results
    ]  # fmt: skip
    (contest,) = contests(load(results, age.root))
    assert contest.sizes == (20, 50, 100)


# ---------------------------------------------------------------- importance


def _stage(searching: Any, values: Any, count: int) -> Any:
    trials = [searching.trial(number, 0.0) for number in range(count)]
    return join_rounds([searching.stage([t.model_copy(update={"value": float(values(t))}) for t in trials])])[0]


def test_importance_finds_the_parameter_that_alone_decides(searching: Any) -> None:
    found = importance(_stage(searching, lambda t: (np.log10(float(t.assignments["lr"])) + 3) ** 2, 40))
    assert found.shares[0][0] == "lr"
    assert found.shares[0][1] > 0.9
    assert sum(share for _, share in found.shares) == pytest.approx(1.0)
    assert found == importance(_stage(searching, lambda t: (np.log10(float(t.assignments["lr"])) + 3) ** 2, 40))


def test_importance_of_equal_trials_is_not_told(searching: Any) -> None:
    assert importance(_stage(searching, lambda t: 1.0, 20)).reason == "all trials have the same value"


def test_importance_takes_eight_trials_and_two_parameters(searching: Any) -> None:
    few = importance(_stage(searching, lambda t: t.number, 7))
    assert (few.shares, few.reason) == ((), "7 trials succeeded; it takes 8 to tell")
    stage = searching.stage([searching.trial(n, float(n)) for n in range(9)], parameters=searching.space[:1])
    assert importance(join_rounds([stage])[0]).reason == "fewer than two parameters took more than one value"
