"""What a search space must be, by itself and for the algorithm that searches it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from ctlr.errors import nearest
from ctlr.specs import AlgorithmSpec, Parameter
from ctlr.tuning.manifest.algorithms import fits_64_bits, parse_number
from ctlr.tuning.manifest.fields import Fields

__all__ = ["check_fit", "n_points", "read_parameters"]

_KINDS = ("int", "double", "discrete", "categorical")
_DISTRIBUTIONS = ("uniform", "logUniform", "normal", "logNormal", "unknown")


def read_parameters(spec: Fields, resource: str) -> tuple[Parameter, ...]:
    """The search space of a manifest; those parameters that can be read are returned, faults are noted.

    Args:
        spec: The manifest's `spec`.
        resource: Parameter that Hyperband sets itself, whose range may be a single value; empty where there is none.
    """
    if not spec.items("parameters"):
        spec.fault("parameters", "is missing or empty: a search needs a parameter. Write `- {name: lr, …}` below it.")
    found: dict[str, Parameter] = {}
    for entry in spec.items("parameters"):
        entry.only("name", "parameterType", "feasibleSpace")
        name, kind = entry.text("name"), entry.text("parameterType", _KINDS)
        for key in ("name", "parameterType", "feasibleSpace"):
            entry.need(key, f"Write `{key}: …`.")
        if name in found:
            entry.fault("name", f"each parameter has a name of its own; got {name!r} again. Rename one of them.")
        elif parameter := _parameter(entry.mapping("feasibleSpace"), name, kind, name == resource):
            found[name] = parameter
    return tuple(found.values())


def _parameter(space: Fields, name: str, kind: str, single: bool) -> Parameter | None:
    space.only("min", "max", "step", "list", "distribution")
    if not kind:
        return None
    before = len(space.document.faults)
    values = space.texts("list")
    distribution = space.text("distribution", _DISTRIBUTIONS)
    distribution = "uniform" if distribution in ("", "unknown") else distribution
    low, high, step = (space.text(key) for key in ("min", "max", "step"))
    if kind in ("int", "double"):
        _check_range(space, kind, distribution, single)
    else:
        _check_list(space, kind, values, distribution)
    if not name or len(space.document.faults) > before:
        return None
    data = {"kind": kind, "low": low, "high": high, "step": step, "values": values, "distribution": distribution}
    return Parameter.model_validate({"name": name, **data}, strict=False)


def _check_range(space: Fields, kind: str, distribution: str, single: bool) -> None:
    if space.data.get("list"):
        space.fault("list", f"only discrete and categorical have a list; this is {kind}. Write min and max instead.")
    low, high, step = (_bound(space, key, kind) for key in ("min", "max", "step"))
    if low is None or high is None:
        return
    if low > high or (low == high and not single):
        rule = f"min must be below max; got min {low} and max {high}"
        space.fault("min", f"{rule}. Swap them, or write a single value into the command.")
    elif step is not None and not 0 < step <= max(high - low, Decimal(int(single))):
        space.fault("step", f"must be above 0 and at most max - min = {high - low}; got {step}. Choose another step.")
    if distribution.startswith("log") and low <= 0:
        space.fault("min", f"must be above 0 for {distribution}; got {low}. Raise it, or choose another distribution.")


def _bound(space: Fields, key: str, kind: str) -> Decimal | None:
    if key not in space:
        if key != "step":
            space.fault(key, f'is missing: {kind} needs min and max. Write `{key}: "…"`.')
        return None
    text = space.text(key)
    if not text:
        return None
    number = parse_number(text, whole=kind == "int")
    if number is None:
        what = "a whole number" if kind == "int" else "a number"
        space.fault(key, f'must be {what}; got {text!r}. Write one, e.g. `{key}: "1"`.')
    elif not fits_64_bits(number, whole=kind == "int"):
        space.fault(key, f"must fit into 64 bits; got {text!r}. Choose a number closer to 0.")
    else:
        return number
    return None


def _check_list(space: Fields, kind: str, values: Sequence[str], distribution: str) -> None:
    for key in ("min", "max", "step"):
        if key in space:
            space.fault(key, f"only int and double have {key}; this is {kind}. Write the values below `list`.")
    if distribution != "uniform":
        space.fault("distribution", f"only int and double have one; this is {kind}; got {distribution}. Remove it.")
    if not space.data.get("list"):
        space.fault("list", f"is missing or empty: {kind} needs its values. Write `list: [a, b]`.")
    first: dict[str | Decimal, str] = {}
    for index, text in enumerate(values):
        where = (*space.where, "list", index)
        number = parse_number(text, whole=False)
        if kind == "discrete" and (number is None or not fits_64_bits(number, whole=False)):
            rule = f"a discrete value must be a number; got {text!r}"
            space.document.fault(where, f"{rule}. Write one, or make the parameter categorical.")
            continue
        value = text if number is None or kind == "categorical" else number
        if value in first:
            space.document.fault(where, f"each value stands once; got {text!r} after {first[value]!r}. Remove one.")
        first.setdefault(value, text)


def n_points(parameters: Sequence[Parameter]) -> int | None:
    """How many assignments a space holds; None where it is not finite."""
    total = 1
    for parameter in parameters:
        if parameter.values:
            total *= len(parameter.values)
        elif parameter.step or parameter.kind == "int":
            low, high = Decimal(parameter.low), Decimal(parameter.high)
            total *= int((high - low) / Decimal(parameter.step or 1)) + 1
        else:
            return None
    return total


def check_fit(spec: Fields, algorithm: AlgorithmSpec, parameters: Sequence[Parameter], parallel: int) -> None:
    """Note what an algorithm needs of the space and of the counts and does not get, as Katib's services check it."""
    if algorithm.name == "grid":
        _check_grid(spec, parameters)
    elif algorithm.name == "cmaes" and sum(parameter.kind in ("int", "double") for parameter in parameters) < 2:
        rule = "cmaes needs two parameters of type int or double at least"
        spec.fault("parameters", f"{rule}; got {len(parameters)} in all. Add one, or choose another algorithm.")
    elif algorithm.name == "hyperband":
        _check_hyperband(spec, algorithm, parameters, parallel)


def _check_grid(spec: Fields, parameters: Sequence[Parameter]) -> None:
    for entry in spec.items("parameters"):
        space = entry.mapping("feasibleSpace")
        if entry.data.get("parameterType") == "double" and "step" not in space:
            space.fault("step", 'is missing: grid needs the step of a double. Write `step: "…"`.')
    points, trials = n_points(parameters), spec.data.get("maxTrialCount")
    if points is not None and isinstance(trials, int) and trials > points:
        rule = f"grid has {points} points, and Katib refuses to ask for more trials; got {trials}"
        spec.fault("maxTrialCount", f"{rule}. Write at most {points}.")


def _check_hyperband(spec: Fields, algorithm: AlgorithmSpec, parameters: Sequence[Parameter], parallel: int) -> None:
    where = (*spec.where, "algorithm", "algorithmSettings")
    resource, names = algorithm.settings["resource_name"], [parameter.name for parameter in parameters]
    if resource not in names:
        message = f"resource_name must be a parameter; got {resource!r}. {nearest(resource, names)}"
        spec.document.fault(where, message)
    elif any(parameter.values for parameter in parameters if parameter.name == resource):
        message = f"resource_name must be an int or double parameter; got {resource!r}. Give it min and max."
        spec.document.fault(where, message)
    elif len(parameters) < 2:
        message = (
            f"hyperband needs a parameter besides its resource {resource!r}. Add one, or choose another algorithm."
        )
        spec.document.fault((*spec.where, "parameters"), message)
    budget, eta = float(algorithm.settings["r_l"]), int(float(algorithm.settings.get("eta", "3")))
    # Katib's own formula, rounding included: what it takes must pass here.
    needed = eta ** int(math.log(budget) / math.log(eta))
    if parallel < needed:
        rule = f"hyperband starts eta^s_max = {needed} trials at once and needs as many in parallel; got {parallel}"
        spec.fault("parallelTrialCount", f"{rule}. Write at least {needed}, or lower r_l.")
