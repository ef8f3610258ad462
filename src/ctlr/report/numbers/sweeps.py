"""Methods that differ in how they finetune alone: which options validation chose, and what that choice gained."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import GainRow, Rows, gains_between
from ctlr.report.statistics.estimates import Gain, holm
from ctlr.specs import METRICS, FinetuneSpec, MethodSpec, fingerprint

__all__ = ["PLAIN", "Comparison", "Option", "Setting", "Sweep", "option_words", "sweeps", "value_words"]

Option = str | float | int | bool | None

_FIRST = ("w", "strategy")
"""Options that stand before the others."""
PLAIN: Mapping[str, Option] = {"w": 1.0, "strategy": "full", "n_frozen": 0, "l2_sp": 0.0}
"""What doing nothing special means: the choice is held against it."""
_WAYS = ("w", "strategy", "n_frozen", "n_copied", "l2_sp", "norm_statistics")
"""Options that make another way of finetuning; others (rates, epochs) may be what suits each way best."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One method of a sweep at one size."""

    options: Mapping[str, Option]
    """Those that differ within the sweep."""
    validation: float
    """Mean over the seeds, signed so that larger is better; -inf where unknown."""
    gain: GainRow
    """Over scratch, on the test set."""

    @property
    def method(self) -> str:
        """Its label."""
        return self.gain.method


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What validation chose of an option's values, against the best setting with another value."""

    option: str
    chosen: Setting
    other: Setting
    plain: bool
    """Whether the other has the option's plain value (`PLAIN`); else it is the runner-up."""
    gain: Gain
    """Of the chosen one over the other, on the test set."""
    p_holm: float
    """Adjusted for all comparisons of the sweep."""
    stands: bool
    """Whether the interval excludes zero, and still does with all comparisons taken together."""


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A contest's methods that share all but their finetuning's options."""

    contest: Contest = field(repr=False)
    options: tuple[str, ...]
    """Those that differ, `w` and `strategy` first."""
    settings: tuple[Setting, ...]
    comparisons: tuple[Comparison, ...]

    def at(self, size: int) -> list[Setting]:
        """Settings at one size."""
        return [setting for setting in self.settings if setting.gain.n_train == size]

    @property
    def sizes(self) -> list[int]:
        """Every n_train, ascending."""
        return sorted({setting.gain.n_train for setting in self.settings})

    def chosen(self, size: int) -> Setting:
        """The setting with the best mean validation score."""
        return _best(self.at(size))

    def ladder(self, option: str, size: int) -> list[Setting]:
        """Settings among which the option is judged: several values of it, and else one way of finetuning.

        Strategies are judged among all settings. Of several such groups the largest is taken; empty without any.
        """
        groups: dict[tuple[Option, ...], list[Setting]] = {}
        for setting in self.at(size):
            alike = [name for name in _WAYS if name in setting.options and name != option and option != "strategy"]
            groups.setdefault(tuple(setting.options[name] for name in alike), []).append(setting)
        ladders = [group for group in groups.values() if len({each.options[option] for each in group}) > 1]
        return max(ladders, key=len, default=[])

    def choice(self, option: str, size: int) -> Setting | None:
        """What validation chose of an option's values; None where no two can be compared."""
        ladder = self.ladder(option, size)
        return _best(ladder) if ladder else None


def option_words(name: str, value: Option) -> str:
    """`w = 0.3`, `strategy gradual`, `lr = 0.001`."""
    return f"{name}{' ' if isinstance(value, str) else ' = '}{value_words(value)}"


def value_words(value: Option) -> str:
    """`0.3`, `gradual`, `none`."""
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def sweeps(contest: Contest, rows: Rows) -> list[Sweep]:
    """Find groups of methods that differ in scalar options of their finetuning only, and compare within them.

    For each option that differs, the value with the best mean validation score is chosen among settings that are alike
    in what else makes a way of finetuning (`Sweep.ladder`), without the test set; on the test set it is then held
    against the best setting (on validation) with the option's plain value, and with the runner-up's. All comparisons
    are paired by seed and subject.

    Args:
        contest: Studies of one transfer.
        rows: Its numbers.
    """
    groups: dict[str, dict[str, MethodSpec]] = {}
    for label, method in _methods(contest).items():
        groups.setdefault(_family(method), {})[label] = method
    found = [_sweep(contest, rows, methods) for methods in groups.values() if len(methods) > 1]
    return [sweep for sweep in found if sweep is not None]


def _methods(contest: Contest) -> dict[str, MethodSpec]:
    """Those that use the source; a method that tuning gave other options at each size is none of a sweep."""
    found: dict[str, dict[str, MethodSpec]] = {}
    roles = contest.layer_roles
    for result in contest.results:
        method = result.study.method
        if result.study.source is not None and method.label not in roles:
            found.setdefault(method.label, {})[method.finetune.identity()] = method
    return {label: next(iter(kinds.values())) for label, kinds in found.items() if len(kinds) == 1}


def _family(method: MethodSpec) -> str:
    """What settings of a sweep have alike."""
    apart = {name for name in FinetuneSpec.model_fields if name != "views"}
    return fingerprint(method.model_dump_json(exclude={"label": True, "finetune": apart}))


def _sweep(contest: Contest, rows: Rows, methods: Mapping[str, MethodSpec]) -> Sweep | None:
    options = {label: _options(method.finetune) for label, method in methods.items()}
    names = [name for name in next(iter(options.values())) if len({given[name] for given in options.values()}) > 1]
    names.sort(key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    sign = 1.0 if METRICS[contest.task.headline] == "max" else -1.0
    scored = {(row.method, row.n_train): row.validation for row in rows.splits}
    settings = []
    for gain in sorted((row for row in rows.gains if row.method in methods), key=lambda row: row.n_train):
        score = scored.get((gain.method, gain.n_train))
        given = {name: options[gain.method][name] for name in names}
        settings.append(Setting(options=given, validation=-math.inf if score is None else sign * score, gain=gain))
    if not names or len({setting.method for setting in settings}) < 2:
        return None
    sweep = Sweep(contest=contest, options=tuple(names), settings=tuple(settings), comparisons=())
    return Sweep(**vars(sweep) | {"comparisons": tuple(_compared(sweep, rows))})


def _options(spec: FinetuneSpec) -> dict[str, Option]:
    """Scalar options, `w` as it applies; with it `discriminative` says no more than `full`."""
    given = {name: getattr(spec, name) for name in FinetuneSpec.model_fields if name != "views"}
    strategy = "full" if spec.strategy == "discriminative" else spec.strategy
    return given | {"w": spec.rate_ratio, "strategy": strategy}


def _best(settings: Sequence[Setting]) -> Setting:
    return max(settings, key=lambda setting: setting.validation)


def _compared(sweep: Sweep, rows: Rows) -> list[Comparison]:
    pairs = [pair for size in sweep.sizes for option in sweep.options for pair in _opponents(sweep, option, size)]
    gains = gains_between(
        sweep.contest, [(chosen.method, other.method, chosen.gain.n_train) for _, chosen, other, _ in pairs], rows
    )
    known = [(*pair, gain) for pair, gain in zip(pairs, gains, strict=True) if gain is not None]
    adjusted = holm([gain.p for *_, gain in known])
    return [
        Comparison(
            option=option, chosen=chosen, other=other, plain=plain, gain=gain, p_holm=p,
            stands=gain.shown and p < 1 - rows.level,
        )
        for (option, chosen, other, plain, gain), p in zip(known, adjusted, strict=True)
    ]  # fmt: skip


def _opponents(sweep: Sweep, option: str, size: int) -> list[tuple[str, Setting, Setting, bool]]:
    """(option, chosen, other, whether plain): the plain value first, then the runner-up where it is another one."""
    ladder = sweep.ladder(option, size)
    if not ladder:
        return []
    chosen = _best(ladder)
    others = [setting for setting in ladder if setting.options[option] != chosen.options[option]]
    plain = [setting for setting in others if option in PLAIN and setting.options[option] == PLAIN[option]]
    found = [(option, chosen, _best(plain), True)] if plain else []
    if not plain or _best(others) is not _best(plain):
        found.append((option, chosen, _best(others), False))
    return found
