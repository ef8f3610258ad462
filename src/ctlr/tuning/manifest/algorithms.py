"""Which search algorithms there are, what each can be told, and what it takes for granted.

Names, settings and ranges are those of Katib 0.19's own services, so that a manifest means the same there.
`random_state` is taken for all: Katib's `sobol`, `hyperband` and `pbt` pass over settings that they do not know.
`evolutionary` and `regularizedevolution` are CTLR's alone, and so is the acquisition `TS` of `bayesianoptimization`, a
Gaussian process here.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from ctlr.errors import nearest
from ctlr.specs import AlgorithmSpec

__all__ = [
    "ALGORITHMS",
    "NETWORK_SEARCHES",
    "STOPPING_RULES",
    "Algorithm",
    "Setting",
    "broken_settings",
    "fits_64_bits",
    "parse_number",
    "read_settings",
]

SettingValue = int | float | str | None
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What one setting may be; ranges are inclusive unless `above` or `below` says otherwise."""

    kind: Literal["int", "float", "text"]
    default: SettingValue = None
    """Where it is not written; None leaves it to the sampler."""
    required: bool = False
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    """Choices that Katib's own services know and these do not: why, and what to do."""
    same_as: str = ""
    """Another setting's name that says the same: one of them is written."""

    def fault(self, text: str) -> str:
        """What is wrong with a written value; empty where nothing is."""
        if self.kind == "text":
            if self.choices and text not in self.choices:
                return f"must be one of {', '.join(self.choices)}; got {text!r}. {nearest(text, self.choices)}"
            if text in self.refused:
                return self.refused[text]
            return "" if text else "must be a text that is not empty; got ''. Write it."
        number = parse_number(text, whole=self.kind == "int")
        if number is None or not fits_64_bits(number, whole=self.kind == "int"):
            what = "a whole number" if self.kind == "int" else "a number"
            return f"must be {what}; got {text!r}. Write {what} in quotes."
        for bound, word, holds in (
            (self.low, "at least", operator.ge),
            (self.high, "at most", operator.le),
            (self.above, "above", operator.gt),
            (self.below, "below", operator.lt),
        ):
            if bound is not None and not holds(number, Decimal(str(bound))):
                return f"must be {word} {bound:.10g}; got {text!r}. Choose another value."
        return ""

    def read(self, text: str) -> SettingValue:
        """A written value that has no fault."""
        if self.kind == "int":
            return int(text)
        return float(text) if self.kind == "float" else text


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """What is known of an algorithm besides the way it proposes."""

    settings: Mapping[str, Setting] = field(default_factory=dict)
    extension: bool = False
    """Whether it is CTLR's alone, so that a plain Katib does not know it."""


def parse_number(text: str, *, whole: bool) -> Decimal | None:
    """A number as manifests write it; None where a text is none."""
    if not (_WHOLE if whole else _NUMBER).fullmatch(text):
        return None
    return Decimal(text)


def fits_64_bits(number: Decimal, *, whole: bool) -> bool:
    """Whether Katib's services, some of them in Go, can hold a number."""
    return abs(number) < 2**63 if whole else math.isfinite(float(number))


_SEED = {"random_state": Setting(kind="int", low=0, high=2**31 - 1)}

_CANDIDATES = 100_000
"""Each is held against 300 trials at once: more would fill the memory."""

_TREES = ("RF", "ET", "GBRT")
_REFUSED = "must be GP; got {!r}, which Katib's own service alone has. Leave it out, or choose tpe."

ALGORITHMS: Mapping[str, Algorithm] = {
    "random": Algorithm(settings=_SEED),
    "grid": Algorithm(settings=_SEED),
    "sobol": Algorithm(settings=_SEED),
    "tpe": Algorithm(
        settings=_SEED
        | {
            "gamma": Setting(kind="float", default=0.25, above=0, below=1),
            "prior_weight": Setting(kind="float", default=1.0, above=0),
            "n_EI_candidates": Setting(kind="int", default=24, low=1, high=_CANDIDATES),
            # Katib serves tpe by Hyperopt's names or, where its configuration says so, by Optuna's.
            "n_startup_trials": Setting(kind="int", default=10, low=0),
            "n_ei_candidates": Setting(kind="int", low=1, high=_CANDIDATES, same_as="n_EI_candidates"),
        }
    ),
    "multivariate-tpe": Algorithm(
        settings=_SEED
        | {
            "n_startup_trials": Setting(kind="int", default=10, low=0),
            "n_ei_candidates": Setting(kind="int", default=24, low=1, high=_CANDIDATES),
        }
    ),
    "bayesianoptimization": Algorithm(
        settings=_SEED
        | {
            "base_estimator": Setting(
                kind="text",
                default="GP",
                choices=("GP", *_TREES),
                refused={name: _REFUSED.format(name) for name in _TREES},
            ),
            "n_initial_points": Setting(kind="int", default=10, low=0),
            # Katib takes EIps and PIps too, and fails at the first result: they need the seconds of each trial.
            # Its default is the portfolio; expected improvement alone does better (`bench/proposals.py`).
            "acq_func": Setting(kind="text", default="EI", choices=("gp_hedge", "EI", "PI", "LCB", "TS")),
            "acq_optimizer": Setting(kind="text", default="auto", choices=("auto", "sampling", "lbfgs")),
        }
    ),
    "cmaes": Algorithm(
        settings=_SEED
        | {
            "sigma": Setting(kind="float", above=0),
            "restart_strategy": Setting(kind="text", default="none", choices=("none", "ipop", "bipop")),
        }
    ),
    "hyperband": Algorithm(
        settings=_SEED
        | {
            "r_l": Setting(kind="float", required=True, low=1),
            "resource_name": Setting(kind="text", required=True),
            "eta": Setting(kind="float", default=3.0, low=2),
        }
    ),
    "pbt": Algorithm(
        settings=_SEED
        | {
            "suggestion_trial_dir": Setting(kind="text", required=True),
            "n_population": Setting(kind="int", required=True, low=5),
            "truncation_threshold": Setting(kind="float", required=True, low=0, high=1),
            "resample_probability": Setting(kind="float", low=0, high=1),
        }
    ),
    "evolutionary": Algorithm(
        extension=True,
        settings=_SEED
        | {
            "population_size": Setting(kind="int", default=20, low=2),
            "mutation_probability": Setting(kind="float", low=0, high=1),
            "crossover_probability": Setting(kind="float", default=0.9, low=0, high=1),
        },
    ),
    "regularizedevolution": Algorithm(
        extension=True,
        settings=_SEED
        | {
            "population_size": Setting(kind="int", default=10, low=2),
            "sample_size": Setting(kind="int", default=10, low=1),
            "mutations": Setting(kind="int", default=1, low=1),
        },
    ),
}

STOPPING_RULES: Mapping[str, Algorithm] = {
    "medianstop": Algorithm(
        settings={
            "min_trials_required": Setting(kind="int", default=3, low=1),
            "start_step": Setting(kind="int", default=4, low=1),
        }
    ),
}

NETWORK_SEARCHES = ("enas", "darts")
"""Katib's architecture searches, which CTLR refuses: it tunes the options of encoders that are given."""


def broken_settings(
    name: str, settings: Mapping[str, str], table: Mapping[str, Algorithm]
) -> Iterator[tuple[str, str]]:
    """Each setting that breaks a rule of its own, and the rule in a sentence.

    Args:
        name: An algorithm of the table.
        settings: As they are written.
        table: `ALGORITHMS` or `STOPPING_RULES`.
    """
    known = table[name].settings
    for key, text in settings.items():
        if key not in known:
            yield key, f"{name} has no setting {key!r}. {nearest(key, known)}"
        elif fault := known[key].fault(text):
            yield key, f"{key} {fault}"
        elif known[key].same_as in settings:
            yield key, f"{key} is another name of {known[key].same_as}, which is set too. Remove one of them."
    for key, setting in known.items():
        if setting.required and key not in settings:
            yield key, f"{name} needs the setting {key!r}. Add it to its settings."


def read_settings(spec: AlgorithmSpec) -> dict[str, SettingValue]:
    """Every setting of an algorithm or a stopping rule by its type, defaults filled in.

    Args:
        spec: Checked, as `read_experiment` returns it.
    """
    known = {**ALGORITHMS, **STOPPING_RULES}[spec.name].settings
    return {
        key: setting.read(spec.settings[key]) if key in spec.settings else setting.default
        for key, setting in known.items()
    }
