import pytest
from tiny_bench import Bench

from ctlr.cost import costs, rate_key
from ctlr.methods.mean import MeanSpec
from ctlr.plan import Plan
from ctlr.shallow.baselines import LinearSpec
from ctlr.shallow.families import KNNSpec, LogisticSpec
from ctlr.steps import calibrate
from ctlr.steps.calibrate import measure


def test_every_stage_of_a_plan_gets_a_rate_and_the_whole_plan_a_time(bench: Bench) -> None:
    plan = Plan(datasets=bench.plan.datasets, pretrainings=bench.plan.pretrainings, studies=bench.plan.studies[:5])
    rates = measure(plan, {})
    expected = {rate_key("pretrain", s.target.data, s.method, s.encoder) for s in plan.pretrainings}
    expected |= {
        rate_key("finetune", s.target.data, s.method, s.encoder)
        for s in plan.studies
        if not isinstance(s.method, MeanSpec)
    }
    assert set(rates) == expected
    assert all(0 < rate < 10 for rate in rates.values())
    trained = [row for row in costs(plan, {}, rates) if row.stage != "preprocess"]
    assert all(row.seconds is not None and row.seconds > 0 for row in trained)


def test_models_without_a_network_are_timed_too(bench: Bench) -> None:
    study = bench.study("scratch")
    fitted = [
        study.model_copy(update={"method": method, "n_train": 300})
        for method in (LogisticSpec(label="logistic", refit=True), KNNSpec(label="knn"), LinearSpec(label="linear"))
    ]
    plan = Plan(datasets=bench.plan.datasets, pretrainings=(), studies=tuple(fitted))
    rates = measure(plan, {})
    assert set(rates) == {rate_key("fit", each.target.data, each.method) for each in fitted}
    rows = [row for row in costs(plan, {}, rates) if row.stage == "fit"]
    assert len(rows) == 3
    assert all(row.seconds is not None and 0 < row.seconds < 60 for row in rows)


def test_more_images_than_were_timed_take_at_least_their_share(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    monkeypatch.setattr(calibrate, "FITTED", 40)
    study = bench.study("scratch").model_copy(update={"method": KNNSpec()})
    seconds = calibrate._fit_seconds(study, 400, {})
    assert seconds(400) >= 10 * seconds(40) * 0.999
    assert seconds(400) <= 10**3 * seconds(40) * 1.001
    assert seconds(20) == pytest.approx(seconds(40) / 2)


@pytest.mark.parametrize("strategy", ["gradual", "chain_thaw", "probe_then_full", "linear_probe"])
def test_a_finetuning_in_stages_is_timed_in_all_of_them(bench: Bench, strategy: str) -> None:
    study = bench.study("supervised")
    options = {
        "strategy": strategy,
        "n_frozen": 0,
        "epochs": 100,
        "stage_epochs": None if strategy == "linear_probe" else 9,
    }
    finetune = type(study.method.finetune).model_validate(study.method.finetune.model_dump() | options)
    study = study.model_copy(update={"method": study.method.model_copy(update={"finetune": finetune})})
    plan = Plan(datasets=bench.plan.datasets, pretrainings=(), studies=(study,))
    (rate,) = measure(plan, {}).values()
    assert 0 < rate < 10
