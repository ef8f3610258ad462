"""From a benchmark to its studies: what is trained, and what is shared.

The grid is transfers x encoders x methods x sample sizes x seeds. The mean predictor and the baselines stand beside
every target, sample size and seed, whether they are listed or not.
"""

from __future__ import annotations

from collections.abc import Iterator

from ctlr.config import BenchmarkConfig, End, Transfer, TuningSpec
from ctlr.specs import (
    BASELINES,
    FLOOR,
    METHODS,
    AnyDataset,
    AnyMethod,
    DataTask,
    EncoderSpec,
    LeakSpec,
    LeastErrorSpec,
    PretrainSpec,
    Study,
    TransferSpec,
    Value,
    shares_task,
    transfers_to_score,
)

__all__ = ["Plan", "make_plan"]


class Plan(Value):
    """All that a benchmark does, in the order in which it is best done."""

    datasets: tuple[AnyDataset, ...]
    """Those that a study uses."""
    pretrainings: tuple[PretrainSpec, ...]
    """Distinct; each serves every study that needs it."""
    studies: tuple[Study, ...]
    """Small sample sizes first, so that a first report is there early."""
    tuning: TuningSpec | None = None
    searches: tuple[Study, ...] = ()
    """The first seed's study of every method and size that is tuned; what is found for it serves all seeds."""
    leaks: LeakSpec = LeakSpec()
    at_defaults: tuple[Study, ...] = ()
    """The tuned methods' studies with the options in the file: what tuning is worth is measured against them."""

    least_errors: tuple[LeastErrorSpec, ...] = ()
    """Targets whose Bayes error is estimated."""

    @property
    def trained(self) -> tuple[Study, ...]:
        """Every study that is run."""
        return (*self.studies, *self.at_defaults)

    @property
    def pretrains_anew(self) -> bool:
        """Whether searches will change the pretrainings, and studies at defaults need those of the file beside them."""
        if self.tuning is None or self.tuning.order == "target_only" or not self.at_defaults:
            return False
        return self.at_defaults[0] in self.studies  # once searches have ended, both are among the pretrainings

    @property
    def transfers(self) -> tuple[TransferSpec, ...]:
        """What is scored before anything is finetuned: nothing, where there is one pair of source and target."""
        return transfers_to_score(self.studies)


def make_plan(config: BenchmarkConfig) -> Plan:
    """Lay out a benchmark's grid; pure, and the same for the same benchmark.

    A method that uses no source is planned once for a target, though several transfers lead to it.
    """
    cells: dict[tuple[DataTask | None, DataTask, str, str], tuple[AnyMethod, EncoderSpec]] = {}
    for source, target, method, encoder in _lines(config):
        cells.setdefault((source, target, method.label, encoder.label), (method, encoder))
    reserved = max(config.split.n_validation(size) for size in config.sample_sizes)
    studies = tuple(
        Study(
            source=source,
            target=target,
            method=method,
            encoder=encoder,
            n_train=n_train,
            n_reserved=reserved,
            seed=seed,
            split=config.split,
            compute=config.compute,
        )
        for n_train in sorted(config.sample_sizes)
        for (source, target, _, _), (method, encoder) in cells.items()
        for seed in config.seeds
    )
    ends = [end for source, target, _, _ in cells for end in (source, target) if end is not None]
    datasets = {end.data.name: end.data for end in ends}
    needed = [spec for spec in map(PretrainSpec.of, studies) if spec is not None]
    pretrainings = {spec.identity(): spec for spec in needed}
    targets = {target.identity(): target for _, target, _, _ in cells if _estimable(target)}
    by_hand = config.tuning.by_hand if config.tuning is not None else ()
    tuned = config.tuning is not None
    tunable = [study for study in studies if not study.method.untuned and study.method.label not in by_hand]
    searches = [study for study in tunable if study.seed == config.seeds[0]]
    return Plan(
        datasets=tuple(datasets.values()),
        pretrainings=tuple(pretrainings.values()),
        studies=studies,
        tuning=config.tuning,
        searches=tuple(searches) if tuned else (),
        leaks=config.leaks,
        at_defaults=tuple(tunable) if config.tuning is not None and config.tuning.share else (),
        least_errors=tuple(LeastErrorSpec(target=target, threads=config.compute.threads) for target in targets.values())
        if config.report.bayes_error
        else (),
    )


def _estimable(target: DataTask) -> bool:
    """Whether its least error can be estimated: of classes, and told by images alone."""
    return target.task.kind == "classification" and not target.task.inputs


def _lines(config: BenchmarkConfig) -> Iterator[tuple[DataTask | None, DataTask, AnyMethod, EncoderSpec]]:
    """(source, target, method, encoder) of each learning curve; some of them alike."""
    encoders = list(config.encoders.values())
    for transfer in config.transfers:
        source = _end(config, transfer.source) if transfer.source else None
        target = _end(config, transfer.target)
        for method in _methods(config, transfer):
            if method.needs_shared_task and not shares_task(source, target):
                continue
            if method.needs_inputs and not target.task.inputs:
                continue
            used = source if method.reads_source else None
            if used is None:
                method = method.without_source()
            for encoder in encoders if method.has_encoder else encoders[:1]:
                if method.only_encoder in (None, encoder.label):
                    yield used, target, method, encoder


def _methods(config: BenchmarkConfig, transfer: Transfer) -> list[AnyMethod]:
    """What runs on a transfer: the mean, the baselines, then the methods that they stand beside."""
    every = list(config.methods.values())
    running = [method for method in every if transfer.runs(method.label, method)]
    methods = [method for method in running if method.role == "method"]
    floors: list[AnyMethod] = [method for method in running if method.role == "floor"]
    listed = [method for method in running if method.role == "baseline"]
    wanted = BASELINES if config.baselines is None else config.baselines
    # Those of a kind that the file lists have its options.
    unlisted = [METHODS[name].automatic(methods) for name in wanted if name not in {each.method for each in listed}]
    baselines = [each.settled(every) for each in (*unlisted, *listed) if each is not None]
    return [*(floors or [METHODS[FLOOR].model_validate({"label": FLOOR})]), *baselines, *methods]


def _end(config: BenchmarkConfig, end: End) -> DataTask:
    return DataTask(data=config.datasets[end.data], task=config.tasks[end.task])
