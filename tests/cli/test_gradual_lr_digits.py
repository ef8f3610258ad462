"""The study of gradual learning rates on digits: one command, and a report that answers."""

import json
import shutil
from pathlib import Path

import pytest
from terminal import Finished, call

from ctlr.config import load
from ctlr.methods.supervised import SupervisedSpec
from ctlr.plan import make_plan

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "gradual-lr-digits.yaml"

PAIRS = [
    f"{{source: {{data: {domain}-low, task: digit}}, target: {{data: {domain}-high, task: digit}}}}"
    for domain in ("plain", "textured")
]
CUT = (
    f"transfers=[{', '.join(PAIRS)}]",
    "seeds=[0]", "sample_sizes=[10]", "split.test=0.8", "methods.rates.sweep.finetune.w=[0.3, 1.0]",
    "methods.freeze.sweep.finetune.n_frozen=[2]", "training.pretrain.epochs=1", "training.pretrain.steps_per_epoch=4",
    "training.finetune.epochs=7", "training.finetune.steps_per_epoch=1", "report.bootstrap=100",
)  # fmt: skip
"""Few pairs, studies and steps: what is left shows that all parts fit, not who wins."""


def test_pairs_strategies_and_ratios_are_those_of_the_question() -> None:
    config = load(BENCHMARK)
    plan = make_plan(config)
    pairs = {(study.source.data.name, study.target.data.name) for study in plan.studies if study.source}
    assert pairs == {
        (f"{source}-low", f"{target}-high") for source in ("plain", "textured") for target in ("plain", "textured")
    }
    finetunings = [method.finetune for method in config.methods.values() if isinstance(method, SupervisedSpec)]
    assert {spec.w for spec in finetunings if spec.strategy == "discriminative"} == {0.25, 0.3, 0.5, 0.7, 1.0}
    assert {spec.strategy for spec in finetunings} == {
        "full", "discriminative", "gradual", "chain_thaw", "linear_probe", "probe_then_full",
    }  # fmt: skip
    assert {spec.n_frozen for spec in finetunings} == {0, 1, 2, 3}
    assert sum(spec.l2_sp > 0 for spec in finetunings) == 1
    assert len(config.seeds) >= 3


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished]:
    folder = tmp_path_factory.mktemp("study")
    shutil.copy(BENCHMARK, folder)
    overrides = [word for setting in CUT for word in ("--set", setting)]
    return folder, call("run", BENCHMARK.name, "--workers", "2", "-o", "json", *overrides, folder=folder)


def test_one_command_leads_to_the_report(finished: tuple[Path, Finished]) -> None:
    folder, done = finished
    assert done.code == 0, done.err
    shown = json.loads(done.out)
    assert {record["status"] for record in shown["results"]} == {"ok"}
    assert len(shown["results"]) == 2 * 8 + 2 + 2 + 2 * 3
    assert (folder / shown["report"]).is_file()


def test_the_report_answers_which_ratio_which_strategy_and_whether_a_score_predicted(
    finished: tuple[Path, Finished],
) -> None:
    folder, done = finished
    report = (folder / json.loads(done.out)["report"]).read_text()
    for words in ('id="finetuning"', 'id="pairs"', "predict the gain", "rates-w0_3", "probe-then-full", "logme"):
        assert words in report.lower(), words
