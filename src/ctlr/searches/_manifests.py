"""Manifests of a benchmark's methods, held against its studies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from ctlr.config import BenchmarkConfig, TuningSpec
from ctlr.errors import ConfigError, nearest
from ctlr.plan import Plan
from ctlr.space import Choice
from ctlr.specs import AlgorithmSpec, Experiment, PretrainSpec, Study, dns_name
from ctlr.tuning.manifest import (
    ALGORITHMS,
    GIVEN,
    broken_settings,
    parse_experiment,
    read_experiment,
    study_experiment,
    with_algorithm,
)
from ctlr.tuning.options import (
    Stage,
    check_stage,
    check_validation,
    parse_validation,
    sample_assignments,
    with_options,
)

__all__ = ["Fault", "Manifests", "check_manifests", "manifest_faults", "manifests_of", "options_of", "stages_of"]

Manifests = dict[tuple[str, str], list[Experiment]]
"""Of each search, by the labels of its method and encoder, in the order of their stages."""

EPOCHS = (8, 16, 32)
"""That a race tries; every strategy of finetuning has its stages in the fewest."""

Fault = tuple[tuple[str, ...], str]
"""Key of the benchmark file, and what is wrong there; what is wrong with a manifest by itself begins with its place."""


def check_manifests(config: BenchmarkConfig, plan: Plan) -> Manifests:
    """Read the manifests of a benchmark's methods, or make them from the spaces that its parts state, and hold them
    against its studies.

    Returns:
        Each with the algorithm that the benchmark names for it; nothing where the benchmark tunes nothing.

    Raises:
        ConfigError: A manifest breaks a rule, or tunes what its stage or method does not have, or values that an option
            cannot have; names the file, one fault a line.
    """
    if config.tuning is None:
        return {}
    manifests, faults, broken = _read(config.tuning, plan)
    if broken:
        raise ConfigError("\n".join(str(error) for _, error in broken))
    if faults:
        raise ConfigError("\n".join(f"`{'.'.join(where)}`: {fault}" for where, fault in faults))
    return manifests


def manifest_faults(config: BenchmarkConfig, plan: Plan) -> list[Fault]:
    """What `check_manifests` refuses, each with the key that asks for it."""
    if config.tuning is None:
        return []
    _, faults, broken = _read(config.tuning, plan)
    return [*((where, line) for where, error in broken for line in str(error).splitlines()), *faults]


def _read(tuning: TuningSpec, plan: Plan) -> tuple[Manifests, list[Fault], list[tuple[tuple[str, ...], ConfigError]]]:
    """Manifests, what does not fit the studies, and what is wrong with manifests by themselves."""
    named: dict[str, list[Experiment]] = {}
    unread: list[tuple[tuple[str, ...], ConfigError]] = []
    for label, paths in tuning.experiments.items():
        try:
            named[label] = [read_experiment(Path(path)) for path in paths]
        except ConfigError as error:
            unread.append((("tuning", "experiments", label), error))
    manifests: Manifests = {}
    faults: dict[Fault, None] = dict.fromkeys(_algorithm_faults(tuning))
    sound = not faults  # else each manifest is held against the algorithm that it names itself
    for study in plan.searches:
        label, cell = study.method.label, (study.method.label, study.encoder.label)
        if label in tuning.experiments and label not in named:
            continue
        try:
            check_validation(study, parse_validation(tuning.validation))
        except ConfigError as error:
            faults[("tuning", "validation"), str(error)] = None
        chosen = manifests.setdefault(cell, list(named.get(label, ())) or [_stated(study, tuning)])
        for number, stage in enumerate(stages_of(study, tuning)):
            try:
                if sound and (algorithm := tuning.algorithm_of(label)) is not None:
                    chosen[number] = with_algorithm(chosen[number], algorithm)
                _check_manifest(study, stage, chosen[number], tuning)
            except ConfigError as error:
                where: tuple[str, ...] = ("tuning", "experiments", label) if label in named else ("methods", label)
                name = f"{Path(tuning.experiments[label][number]).name}: " if label in named else ""
                faults |= dict.fromkeys((where, f"{name}{fault}") for fault in str(error).splitlines())
    return manifests, list(faults), unread


def manifests_of(manifests: Manifests, study: Study) -> list[Experiment]:
    """Those of a study's search."""
    return manifests[study.method.label, study.encoder.label]


def _stated(study: Study, tuning: TuningSpec) -> Experiment:
    """The search of the space that a study's method and encoder state themselves."""
    name = dns_name(f"{study.method.label}-{study.encoder.label}", 40)
    # Where seconds are shared out, how long to train is a question too.
    epochs = {"finetune.epochs": Choice(EPOCHS)} if tuning.race is not None and study.method.trains_network else {}
    made = study_experiment(
        study, "benchmark.yaml", name=name, trials=None, parallel=tuning.parallel, seed=study.seed, more=epochs
    )
    return parse_experiment(made, f"the space of {name}")


def _algorithm_faults(tuning: TuningSpec) -> Iterator[Fault]:
    """What is wrong with the algorithms, whatever spaces they search."""
    named: list[tuple[tuple[str, ...], tuple[str, ...], AlgorithmSpec]] = [
        (("tuning", "algorithms", label), ("tuning", "algorithms", label, "settings"), each)
        for label, each in tuning.algorithms.items()
    ]
    if tuning.algorithm is not None:
        own = AlgorithmSpec(name=tuning.algorithm, settings=tuning.settings)
        named.append((("tuning", "algorithm"), ("tuning", "settings"), own))
    for place, settings, algorithm in named:
        if algorithm.name not in ALGORITHMS:
            yield place, f"unknown algorithm {algorithm.name!r}. {nearest(algorithm.name, ALGORITHMS)}"
            continue
        for key, fault in broken_settings(algorithm.name, algorithm.settings, ALGORITHMS):
            if key not in GIVEN:
                yield settings, fault


def _check_manifest(study: Study, stage: Stage, manifest: Experiment, tuning: TuningSpec) -> None:
    """Hold a manifest against the study that it tunes.

    Raises:
        ConfigError: One fault a line.
    """
    options = options_of(manifest)
    check_stage(study, options.values(), stage)
    _check_space(study, manifest, options)
    if manifest.algorithm.name == "pbt":
        _check_handing_on(stage, options, tuning)


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
