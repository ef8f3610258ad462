import pytest
from tiny_bench import Bench

from ctlr.cost import costs, rate_key
from ctlr.methods.mean import MeanSpec
from ctlr.plan import Plan
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
