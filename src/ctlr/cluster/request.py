"""What a benchmark's submission sends: the benchmark made portable, and how many pods it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctlr.config import BenchmarkConfig
from ctlr.errors import ConfigError, nearest
from ctlr.plan import Plan, make_plan
from ctlr.specs import PretrainSpec, Study, fingerprint

__all__ = ["Request", "pods_of", "request_of"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A run of a pipeline.

    Attributes:
        pipeline: benchmark or transfer.
        arguments: Of the pipeline.
        pods: How many of each component, at most.
        notices: What will not be as on a laptop, a sentence each.
    """

    pipeline: str
    arguments: Mapping[str, Any]
    pods: Mapping[str, int]
    notices: tuple[str, ...] = ()


def request_of(config: BenchmarkConfig, *, study: str = "") -> Request:
    """Make a benchmark ready to travel; pure, and the same for the same benchmark and manifests.

    Args:
        config: The benchmark.
        study: Id of the only study that is wanted; empty for the whole benchmark.

    Raises:
        ConfigError: It needs what only this machine has, or there is no such study.
    """
    plan = make_plan(config)
    _check_tuning(config)
    _check_files(config)
    recorded, notices = _with_records(config)
    portable, manifests = _with_manifests(_with_roots(recorded))
    manifests |= {Path(file).name: Path(file).read_text() for file in config.plugins}
    portable = portable.model_copy(update={"plugins": tuple(Path(file).name for file in config.plugins)})
    arguments: dict[str, Any] = {
        "benchmark": portable.model_dump_json(exclude={"platform"}),
        "workspace": config.platform.workspace,
        "device": config.platform.device,
        "workers": config.platform.processes,
    }
    if study:
        if config.plugins:
            raise ConfigError("plugins: their files travel with a whole benchmark alone. Submit without `--study`.")
        return Request(
            pipeline="transfer", arguments=arguments | {"study": study}, pods=_pods_of_one(plan, study), notices=notices
        )
    arguments |= {"manifests": manifests, "platform": config.platform.model_dump_json()}
    return Request(
        pipeline="benchmark", arguments=arguments, pods=pods_of(plan) | _trial_pods(config, plan), notices=notices
    )


def pods_of(plan: Plan) -> dict[str, int]:
    """Pods that work, by component: one a distinct step. What the workspace holds already takes none.

    Where pretrainings are tuned, each sample size may come to need one of its own; the number here is that before.
    A search that chooses the options in the file leaves a study fewer.
    """
    trained = {study.identity() for study in plan.studies if study.method.trains_network}
    at_defaults = len({study.identity() for study in plan.at_defaults})  # the others will have other options by then
    groups = 0
    if plan.searches:
        from ctlr.cluster.tuning import search_groups  # brings the samplers, which are slow to load

        groups = len(search_groups(plan))
    return {
        "plan": 1,
        "preprocess": len(plan.datasets),
        "tune": groups,
        "schedule": 1,
        "pretrain": len(plan.pretrainings) * (2 if plan.pretrains_anew else 1),
        "score": len(plan.transfers),
        "finetune": len(trained) + at_defaults,
        "evaluate": len({study.identity() for study in plan.studies}) + at_defaults,
        "report": 1,
    }


def _trial_pods(config: BenchmarkConfig, plan: Plan) -> dict[str, int]:
    """Pods of trials, where each has one."""
    if config.tuning is None or config.tuning.trials is None or config.platform.trials == "local":
        return {}
    return {"trial": len(plan.searches) * config.tuning.trials}


def _pods_of_one(plan: Plan, study: str) -> dict[str, int]:
    if plan.searches:
        raise ConfigError(f"`tuning` decides the options of {study!r} from its whole search. Submit without `--study`.")
    found = [each for each in plan.studies if each.id == study]
    if not found:
        raise ConfigError(f"There is no study {study!r}. {nearest(study, (each.id for each in plan.studies))}")
    return _narrowed(plan, found[0])


def _narrowed(plan: Plan, study: Study) -> dict[str, int]:
    single = plan.model_copy(update={"studies": (study,)})
    needed = tuple(spec for spec in plan.pretrainings if _serves(spec.identity(), study))
    return pods_of(single.model_copy(update={"pretrainings": needed})) | {"score": 0}


def _serves(identity: str, study: Study) -> bool:
    spec = PretrainSpec.of(study)
    return spec is not None and spec.identity() == identity


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
    if config.tuning is not None and config.tuning.seconds is not None and config.platform.trials == "katib":
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
            if not (path := getattr(method, option)).startswith(inside):
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
