"""Manifests of a benchmark's methods, held against its studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from ctlr.config import BenchmarkConfig, TuningSpec
from ctlr.errors import ConfigError, nearest
from ctlr.plan import Plan
from ctlr.specs import Experiment, PretrainSpec, Study
from ctlr.tuning.manifest import ALGORITHMS, broken_settings, parse_experiment, read_experiment
from ctlr.tuning.options import (
    Stage,
    check_stage,
    check_validation,
    parse_validation,
    sample_assignments,
    with_options,
)

__all__ = ["Fault", "check_manifests", "manifest_faults", "options_of", "stages_of"]

Fault = tuple[tuple[str, ...], str]
"""Key of the benchmark file, and what is wrong there."""

_COUNTS = ("maxTrialCount", "parallelTrialCount", "maxFailedTrialCount")


def check_manifests(config: BenchmarkConfig, plan: Plan) -> dict[str, list[Experiment]]:
    """Read the manifests of a benchmark's methods and hold them against its studies.

    Returns:
        Manifests by method label, in the order of their stages; nothing where the benchmark tunes nothing.

    Raises:
        ConfigError: A manifest breaks a rule, or tunes what its stage or method does not have, or values that an option
            cannot have; names the file, one fault a line.
    """
    if config.tuning is None:
        return {}
    manifests = _read(config.tuning)
    if faults := _faults(config.tuning, plan, manifests):
        raise ConfigError("\n".join(f"`{'.'.join(where)}`: {fault}" for where, fault in faults))
    return manifests


def manifest_faults(config: BenchmarkConfig, plan: Plan) -> list[Fault]:
    """What `check_manifests` refuses, each with the key that asks for it.

    Raises:
        ConfigError: A manifest by itself breaks a rule; names its file and line.
    """
    return [] if config.tuning is None else _faults(config.tuning, plan, _read(config.tuning))


def _read(tuning: TuningSpec) -> dict[str, list[Experiment]]:
    return {label: [read_experiment(Path(path)) for path in paths] for label, paths in tuning.experiments.items()}


def _faults(tuning: TuningSpec, plan: Plan, manifests: Mapping[str, Sequence[Experiment]]) -> list[Fault]:
    faults = dict.fromkeys(_algorithm_faults(tuning, manifests))
    fits = tuning.algorithm is not None and not faults
    for study in plan.searches:
        label = study.method.label
        stages = stages_of(study, tuning)
        try:
            check_validation(study, parse_validation(tuning.validation))
        except ConfigError as error:
            faults[("tuning", "validation"), str(error)] = None
        for stage, path, manifest in zip(stages, tuning.experiments[label], manifests[label], strict=True):
            try:
                if fits:
                    _check_fit(manifest, tuning)
                options = options_of(manifest)
                check_stage(study, options.values(), stage)
                _check_space(study, manifest, options)
            except ConfigError as error:
                where = ("tuning", "experiments", label)
                faults |= dict.fromkeys((where, f"{Path(path).name}: {fault}") for fault in str(error).splitlines())
    return list(faults)


def _algorithm_faults(tuning: TuningSpec, manifests: Mapping[str, Sequence[Experiment]]) -> Iterator[Fault]:
    """What is wrong with the algorithm, whatever space it searches."""
    name = tuning.algorithm
    if "pbt" in ([each.algorithm.name for own in manifests.values() for each in own] if name is None else [name]):
        fault = "pbt hands weights on, and a benchmark's trials keep none. Choose another one."
        yield ("tuning", "algorithm"), fault
    elif name is not None and name not in ALGORITHMS:
        yield ("tuning", "algorithm"), f"unknown algorithm {name!r}. {nearest(name, ALGORITHMS)}"
    elif name is not None:
        broken = broken_settings(name, tuning.settings, ALGORITHMS)
        yield from ((("tuning", "settings"), fault) for _, fault in broken)


def _check_fit(manifest: Experiment, tuning: TuningSpec) -> None:
    """Hold the space of a manifest against the benchmark's own algorithm.

    Its counts are the benchmark's too: a bracket of Hyperband that is wider goes on in turns here.

    Raises:
        ConfigError: The space lacks what the algorithm needs; one fault a line.
    """
    settings = [{"name": name, "value": value} for name, value in tuning.settings.items()]
    spec = {name: value for name, value in manifest.manifest["spec"].items() if name not in _COUNTS}
    spec |= {"parallelTrialCount": 2**31 - 1, "algorithm": {"algorithmName": tuning.algorithm}}
    if settings:
        spec["algorithm"]["algorithmSettings"] = settings
    parse_experiment(manifest.manifest | {"spec": spec}, template=False)


def _check_space(study: Study, manifest: Experiment, options: Mapping[str, str]) -> None:
    """Hold the values of a space against the rules of the options that they set.

    Raises:
        ConfigError: Names each value that no trial could have, one a line.
    """
    faults: dict[str, None] = {}
    for assignments in sample_assignments(manifest.parameters):
        try:
            with_options(study, {options[name]: value for name, value in assignments.items()})
        except ConfigError as error:
            faults |= dict.fromkeys(str(error).splitlines())
    if faults:
        raise ConfigError("\n".join(faults))


def stages_of(study: Study, tuning: TuningSpec) -> tuple[Stage, ...]:
    """What is tuned for a study, one after the other."""
    if PretrainSpec.of(study) is None or tuning.order == "target_only":
        return ("finetune",)
    return ("pretrain", "finetune") if tuning.order == "source_then_target" else ("joint",)


def options_of(manifest: Experiment) -> dict[str, str]:
    """Parameter -> the option that `ctlr trial --set` gives it to.

    Raises:
        ConfigError: A parameter reaches no option.
    """
    words = manifest.trial.command
    settings = [word for flag, word in pairwise(words) if flag == "--set"]
    settings += [word.removeprefix("--set=") for word in words if word.startswith("--set=")]
    option_of = {value: option for option, _, value in (setting.partition("=") for setting in settings)}
    found = {
        parameter: option_of[f"${{trialParameters.{name}}}"]
        for name, parameter in manifest.references.items()
        if f"${{trialParameters.{name}}}" in option_of
    }
    missing = [parameter.name for parameter in manifest.parameters if parameter.name not in found]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} must set an option of the study, and the command gives it to none. Add "
            "`--set OPTION=${trialParameters.NAME}` to its `ctlr trial`."
        )
    return found
