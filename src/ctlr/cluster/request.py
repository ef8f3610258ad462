"""What a benchmark's submission sends: the benchmark made portable, and how many pods it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctlr.cluster.platform import Workers
from ctlr.cluster.submission import packed, submission_name
from ctlr.config import BenchmarkConfig
from ctlr.errors import ConfigError, nearest
from ctlr.plan import Plan, make_plan
from ctlr.specs import PretrainSpec, fingerprint

__all__ = ["Request", "pods_of", "request_of", "workers_of"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A run of the pipeline.

    Attributes:
        arguments: What it runs: the submission's name, the benchmark and where its pods run as JSON, manifests and
            plug-ins by name, the only study that is wanted, and where the workspace is mounted.
        workers: Of its stages.
        pods: How many come, by what they are.
        notices: What will not be as on a laptop, a sentence each.
    """

    arguments: Mapping[str, Any]
    workers: Workers
    pods: Mapping[str, int]
    notices: tuple[str, ...] = ()

    def parameters(self) -> dict[str, str]:
        """The arguments as the pipeline takes them."""
        plain = dict(self.arguments)
        parts = (plain.pop(name) for name in ("benchmark", "manifests", "platform", "study"))
        return plain | {"sent": packed(*parts)}


def request_of(config: BenchmarkConfig, *, study: str = "") -> Request:
    """Make a benchmark ready to travel; pure, and the same for the same benchmark and manifests.

    Args:
        config: The benchmark.
        study: Id of the only study that is wanted; empty for the whole benchmark.

    Raises:
        ConfigError: It needs what only this machine has, is too long to send, or there is no such study.
    """
    plan = make_plan(config)
    _check_tuning(config)
    _check_files(config)
    recorded, notices = _with_records(config)
    portable, manifests = _with_manifests(_with_roots(recorded))
    manifests |= {Path(file).name: Path(file).read_text() for file in config.plugins}
    portable = portable.model_copy(update={"plugins": tuple(Path(file).name for file in config.plugins)})
    if study and plan.searches:
        raise ConfigError(f"`tuning` decides the options of {study!r} from its whole search. Submit without `--study`.")
    if study and study not in (ids := [each.id for each in plan.studies]):
        raise ConfigError(f"There is no study {study!r}. {nearest(study, ids)}")
    workers, text = workers_of(config, plan, study=study), portable.model_dump_json(exclude={"platform"})
    request = Request(
        arguments={
            "submission": submission_name(text, manifests), "benchmark": text, "manifests": manifests, "study": study,
            "workspace": config.platform.workspace, "platform": config.platform.model_dump_json(),
        },
        workers=workers, pods=pods_of(config, plan, workers), notices=notices,
    )  # fmt: skip
    request.parameters()  # may be too long
    return request


def workers_of(config: BenchmarkConfig, plan: Plan, *, study: str = "") -> Workers:
    """How many workers each stage of a benchmark can use; `platform.workers` bounds them, not the number of studies.

    Pretrainings have a stage of their own where trials are pods that start from them: those that waited for one would
    hold a GPU meanwhile. Both stages before the training share its number, but each has one worker at least.
    """
    most = config.platform.workers
    if study:
        return Workers(pretrain=0, tune=0, train=1)
    train = min(most, len({each.identity() for each in plan.trained}))
    if config.tuning is None:
        return Workers(pretrain=0, tune=0, train=train)
    specs = {spec.identity() for each in plan.searches if (spec := PretrainSpec.of(each)) is not None}
    apart = config.platform.trials == "katib" and config.tuning.order == "target_only" and most > 1
    pretrain = min(len(specs), most // 2) if apart else 0
    return Workers(pretrain=pretrain, tune=max(1, min(len(plan.searches), most - pretrain)), train=train)


def pods_of(config: BenchmarkConfig, plan: Plan, workers: Workers) -> dict[str, int]:
    """Pods that come: two a task (Kubeflow's driver, then ours), two for the pipeline itself, and those of trials.

    Katib starts a pod a trial, and one for the proposals of each experiment.
    """
    tasks = {"preprocess": 1, **asdict(workers), "evaluate": 1, "report": 1}
    pods = {name: 2 * count for name, count in tasks.items() if count} | {"pipeline": 2}
    if config.tuning is not None and config.platform.trials == "katib":
        stages, trials = _experiments(config, plan)
        pods |= {"suggestion": stages, "trial": trials}
    return pods


def _experiments(config: BenchmarkConfig, plan: Plan) -> tuple[int, int]:
    """Katib Experiments and trials of a tuned benchmark: as many trials a search, whatever its stages."""
    tuning = config.tuning
    assert tuning is not None
    from ctlr.searches import stage_count  # brings the samplers, which are slow to load

    return stage_count(config, plan) * tuning.rounds, len(plan.searches) * (tuning.trials or 0)


def _with_records(config: BenchmarkConfig) -> tuple[BenchmarkConfig, tuple[str, ...]]:
    """The benchmark recorded by a server, or not at all: pods share no database file."""
    if config.tracking.backend == "none" or config.tracking.uri is not None:
        return config, ()
    notice = (
        "MLflow records nothing: pods share no database file, and `tracking.uri` names no server. Name it, e.g. "
        "`--set tracking.uri=http://mlflow.ctlr:5000`; what is finished is then recorded without being done again."
    )
    return config.model_copy(update={"tracking": config.tracking.model_copy(update={"backend": "none"})}), (notice,)


def _check_tuning(config: BenchmarkConfig) -> None:
    counted = config.tuning is not None and config.tuning.seconds is not None and config.tuning.race is None
    if counted and config.platform.trials == "katib":
        raise ConfigError(
            "tuning.seconds: Katib counts trials, not device seconds. Set `tuning.trials` instead, or run trials in "
            "the task's own pod with `--set platform.trials=local`."
        )
    if config.tuning is not None and config.tuning.warm_start is not None:
        raise ConfigError(
            "tuning.warm_start: names a workspace of this machine, which pods do not see. Remove it: searches that the "
            "cluster's workspace holds already are not repeated."
        )


def _check_files(config: BenchmarkConfig) -> None:
    inside = f"{config.platform.workspace}/"
    for label, method in config.methods.items():
        for option in method.files:
            if (path := getattr(method, option)) is not None and not path.startswith(inside):
                raise ConfigError(
                    f"methods.{label}.{option}: pods do not see this machine's files. Copy it to the volume "
                    f"{config.platform.volume!r} and name it there, e.g. {inside}weights/{Path(path).name}."
                )


def _with_roots(config: BenchmarkConfig) -> BenchmarkConfig:
    """The benchmark with each dataset's folder below the workspace."""
    roots = config.platform.roots
    for name in roots:
        if name not in config.datasets:
            raise ConfigError(f"platform.roots: there is no dataset {name!r}. {nearest(name, config.datasets)}")
    datasets = {}
    for name, data in config.datasets.items():
        if not data.in_folder():
            datasets[name] = data
            continue
        if name not in roots:
            raise ConfigError(
                f"datasets.{name}: pods do not see this machine's folders. Copy its {data.lies_as} to the volume "
                f"{config.platform.volume!r} and say where they lie there: "
                f"`--set platform.roots.{name}=data/{name}`, below the workspace."
            )
        datasets[name] = data.at(roots[name])
    return config.model_copy(update={"datasets": datasets})


def _with_manifests(config: BenchmarkConfig) -> tuple[BenchmarkConfig, dict[str, str]]:
    """The benchmark whose manifests go by a name that their content decides, and their texts by that name."""
    if config.tuning is None:
        return config, {}
    texts: dict[str, str] = {}

    def name_of(path: str) -> str:
        text = Path(path).read_text()
        name = f"{fingerprint(text)[:8]}-{Path(path).name}"
        texts[name] = text
        return name

    experiments = {label: tuple(map(name_of, paths)) for label, paths in config.tuning.experiments.items()}
    return config.model_copy(update={"tuning": config.tuning.model_copy(update={"experiments": experiments})}), texts
