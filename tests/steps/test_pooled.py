"""Pooled learning as a step: which heads and scalings, and that it runs from images to scores."""

import numpy as np
import pytest
from tiny_bench import Bench

from ctlr.cost import rate_key
from ctlr.data.development import SourceData
from ctlr.methods.pooled import Pooled, PooledSpec
from ctlr.plan import Plan
from ctlr.specs import DataTask, Study, TaskSpec
from ctlr.steps.assembly import development_of, finetuning_source
from ctlr.steps.calibrate import measure
from ctlr.steps.evaluate import evaluate
from ctlr.steps.finetune import TargetTraining, finetune, target_training
from ctlr.steps.trial import run_trial
from ctlr.tuning.request import TrialJob


def pooled_study(bench: Bench, **options: object) -> Study:
    study = bench.study("vat")
    spec = PooledSpec.model_validate({"label": "pooled", "source_batch_size": 4, **options})
    spec = spec.model_copy(update={"finetune": study.method.finetune})
    return study.model_copy(update={"method": spec})


def prepared(study: Study, bench: Bench, *, same_task: bool) -> tuple[TargetTraining, SourceData]:
    if same_task:  # as if the ages of another dataset were known: the two datasets are one here
        study = study.model_copy(update={"source": study.target})
    development = development_of(study, bench.arrays, bench.workspace)
    source = finetuning_source(study, bench.arrays, bench.workspace, development)
    assert source is not None
    return target_training(study, development, source, None, device="cpu"), source


def test_pooled_learning_runs_from_images_to_scores(own_bench: Bench) -> None:
    study = pooled_study(own_bench)
    finetune(study, own_bench.arrays, own_bench.workspace)
    result = evaluate(study, own_bench.arrays, own_bench.workspace)
    assert set(result.scores) == {"train", "validation", "test"}
    assert 0 < result.scores["test"]["mae"] < 60
    assert not result.pretraining


def test_another_task_has_a_head_of_its_own_and_takes_every_source_label(bench: Bench) -> None:
    ready, source = prepared(pooled_study(bench), bench, same_task=False)
    assert isinstance(ready.objective, Pooled)
    assert ready.objective.source_head is not None
    # nobody has to watch over the source: those who would are learned from too
    assert len(ready.streams["source"]) == len(source.train) + len(source.validation) == 48 - 12 - 10
    assert ready.scaling.std == pytest.approx(
        np.std(development_of(pooled_study(bench), bench.arrays, bench.workspace).targets.values[ready_rows(bench)])
    )


def ready_rows(bench: Bench) -> np.ndarray:
    return np.asarray(development_of(pooled_study(bench), bench.arrays, bench.workspace).train)


def test_the_same_task_has_one_head_and_one_scaling_of_all_labels(bench: Bench) -> None:
    ready, source = prepared(pooled_study(bench), bench, same_task=True)
    assert isinstance(ready.objective, Pooled)
    assert ready.objective.source_head is None
    ages = source.targets.values
    own = development_of(pooled_study(bench), bench.arrays, bench.workspace).train
    everyone = np.concatenate([ages[own], ages[source.train], ages[source.validation]])
    assert ready.scaling.mean == pytest.approx(everyone.mean())
    assert ready.scaling.std == pytest.approx(everyone.std())
    target = ready.streams["source"].target
    assert target is not None
    assert target.numpy() * ready.scaling.std + ready.scaling.mean == pytest.approx(
        np.concatenate([ages[source.train], ages[source.validation]]), rel=1e-4
    )


def test_classes_that_differ_are_no_same_task(bench: Bench) -> None:
    study = pooled_study(bench)
    task = TaskSpec(name="sex", target="sex", kind="classification")
    study = study.model_copy(update={"target": DataTask(data=study.target.data, task=task)})
    assert study.source is not None
    other = TaskSpec(name="sex", target="sex", kind="classification", classes=("M", "F"))
    study = study.model_copy(update={"source": DataTask(data=study.source.data, task=other)})
    development = development_of(study, bench.arrays, bench.workspace)
    source = finetuning_source(study, bench.arrays, bench.workspace, development)
    assert source is not None
    assert development.targets.classes != source.targets.classes
    ready = target_training(study, development, source, None, device="cpu")
    assert isinstance(ready.objective, Pooled)
    assert ready.objective.source_head is not None


def test_its_seconds_an_image_are_measured(bench: Bench) -> None:
    study = pooled_study(bench)
    plan = Plan(datasets=bench.plan.datasets, pretrainings=(), studies=(study,))
    rates = measure(plan, {})
    assert list(rates) == [rate_key("finetune", study.target.data, study.method, study.encoder)]
    assert 0 < rates["finetune pooled small_cnn*1 1x32x32x32"] < 10


def test_trials_tune_its_options_and_validate_on_folds(own_bench: Bench) -> None:
    job = TrialJob(
        study=pooled_study(own_bench), assignments={"source_weight": "0.5", "lr": "3e-3"}, validation="kfold:2"
    )
    result = run_trial(job, own_bench.arrays, own_bench.workspace, report=lambda row: None)
    assert isinstance(result.study.method, PooledSpec)
    assert (result.study.method.source_weight, result.study.method.finetune.lr) == (0.5, 3e-3)
    assert 0 < result.scores["val_mae"] < 60
