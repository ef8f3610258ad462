"""Manifests of a benchmark's methods, held against its studies."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from ctlr.config import BenchmarkConfig, TuningSpec
from ctlr.errors import ConfigError
from ctlr.plan import Plan
from ctlr.specs import Experiment, PretrainSpec, Study
from ctlr.tuning.manifest import read_experiment, with_algorithm
from ctlr.tuning.options import Stage, check_stage, sample_assignments, with_options

__all__ = ["check_manifests", "options_of", "stages_of"]


def check_manifests(config: BenchmarkConfig, plan: Plan) -> dict[str, list[Experiment]]:
    """Read the manifests of a benchmark's methods and hold them against its studies.

    Returns:
        Manifests by method label, in the order of their stages; nothing where the benchmark tunes nothing.

    Raises:
        ConfigError: A manifest breaks a rule, or tunes what its stage or method does not have, or values that an option
            cannot have; names the file, one fault a line.
    """
    tuning = config.tuning
    if tuning is None:
        return {}
    faults: dict[str, None] = {}
    manifests: dict[str, list[Experiment]] = {}
    for label, paths in tuning.experiments.items():
        written = [read_experiment(Path(path)) for path in paths]
        try:
            manifests[label] = [_searched(manifest, label, tuning) for manifest in written]
        except ConfigError as error:
            faults |= dict.fromkeys(str(error).splitlines())
    if faults:
        raise ConfigError("\n".join(faults))
    for study in plan.searches:
        label = study.method.label
        stages = stages_of(study, tuning)
        for stage, path, manifest in zip(stages, tuning.experiments[label], manifests[label], strict=True):
            try:
                options = options_of(manifest)
                check_stage(study, options.values(), stage)
                _check_space(study, manifest, options)
                if manifest.algorithm.name == "pbt":
                    _check_handing_on(stage, options, tuning)
            except ConfigError as error:
                where = f"{Path(path).name}, as `tuning.experiments.{label}`"
                faults |= dict.fromkeys(f"{where}: {fault}" for fault in str(error).splitlines())
    if faults:
        raise ConfigError("\n".join(faults))
    return manifests


def _searched(manifest: Experiment, label: str, tuning: TuningSpec) -> Experiment:
    """A method's manifest with the algorithm that the benchmark names for it.

    Raises:
        ConfigError: It cannot search that space; one line a fault.
    """
    algorithm = tuning.algorithm_of(label)
    if algorithm is None:
        return manifest
    where = f"tuning.algorithms.{label}" if label in tuning.algorithms else "tuning.algorithm"
    return with_algorithm(manifest, algorithm, where)


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


def _check_handing_on(stage: Stage, options: Mapping[str, str], tuning: TuningSpec) -> None:
    """Refuse what weights that go from trial to trial do not outlive.

    Raises:
        ConfigError: Names each, one a line.
    """
    faults = [
        f"`{option}`: pbt hands weights on from trial to trial, and they fit one encoder. Take it out of the space."
        for option in options.values()
        if option.startswith("encoder.")
    ]
    if stage == "pretrain" or tuning.validation != "holdout":
        told = f"`validation: {tuning.validation}`" if tuning.validation != "holdout" else f"`order: {tuning.order}`"
        remedy = "Write `order: target_only` and `validation: holdout`, or take another algorithm."
        faults.append(f"{told}: pbt hands on the weights of one finetuning. {remedy}")
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
