from tiny_bench import Bench

from ctlr.cost import costs, rate_key
from ctlr.plan import Plan
from ctlr.specs import MeanSpec
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
