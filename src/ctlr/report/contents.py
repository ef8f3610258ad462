"""Everything that a report says, computed and in order, before any of it is written."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctlr.report import displays
from ctlr.report.contests import Done, contests, load
from ctlr.report.costs import StepRow, duration, step_rows, steps_table, time_rows, time_table
from ctlr.report.formats import Cell, Table, listed
from ctlr.report.pair_view import TRANSFER_TERMS, PairView, pair_view
from ctlr.report.plots import Style
from ctlr.report.svg import variable
from ctlr.report.sweep_view import SweepView, sweep_view
from ctlr.report.tuning import Budget
from ctlr.report.tuning_views import TuningView, tuning_view
from ctlr.report.views import View, method_styles, view
from ctlr.report.wording import terms
from ctlr.specs import SearchResult, StudyResult, TransferScores

__all__ = ["Contents", "Key", "contents"]


@dataclass(frozen=True)
class Key:
    """A method's mark beside its name."""

    colour: str
    """A CSS value."""
    dashed: bool


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A report's parts."""

    results: tuple[StudyResult, ...]
    """Every study; one whose predictions could not be read has failed."""
    views: tuple[View, ...]
    tables: Mapping[str, Table]
    """Of the whole benchmark: methods, steps, time, failed, excluded, precision, versions, fingerprints."""
    keys: Mapping[str, Key]
    facts: tuple[tuple[str, str], ...]
    """(what, number) of the benchmark at a glance."""
    time_words: str
    terms: tuple[tuple[str, str], ...]
    tuning: TuningView | None
    """None where nothing was tuned."""
    pairs: PairView | None
    """None where there is one pair of source and target."""
    sweep: SweepView | None
    """None where no methods differ in their finetuning alone."""

    @property
    def written(self) -> list[Table]:
        """Tables that become files: those of the page, except what provenance says of this machine."""
        common = [table for name, table in self.tables.items() if name not in ("precision", "versions", "fingerprints")]
        tuning = list(self.tuning.tables.values()) if self.tuning is not None else []
        parts = [part.written for part in (self.sweep, self.pairs) if part is not None]
        own = [table for each in self.views for table in each.tables.values()]
        return [*common, *own, *itertools.chain(*parts), *tuning]


def contents(
    results: Sequence[StudyResult],
    *,
    root: Path,
    environment: Mapping[str, str],
    excluded: Sequence[str],
    wall_seconds: float,
    bootstrap: int,
    level: float,
    searches: Sequence[SearchResult] = (),
    budget: Budget = "trials",
    validation: str = "holdout",
    transfers: Sequence[TransferScores] = (),
    at_defaults: Sequence[StudyResult] = (),
) -> Contents:
    """Read predictions, compute rows, draw.

    Raises:
        DataError: Studies of one transfer were tested on different subjects, or a history is damaged.
    """
    loaded = load(results, root)
    known = [item.result if isinstance(item, Done) else item for item in loaded]
    found = contests(loaded)
    styles = method_styles(found)
    several = len({contest.encoder for contest in found}) > 1
    views = [view(contest, styles, root, level=level, name_encoder=several) for contest in found]
    pairs = pair_view(views, transfers, root, bootstrap=bootstrap, level=level)
    steps = step_rows(known)
    tables = {
        "methods": displays.methods_table(known, list(styles)),
        "steps": steps_table(steps),
        "time": time_table(time_rows(known)),
        "failed": displays.failed_table([result for result in known if result.status == "failed"]),
        "excluded": displays.excluded_table(excluded),
        "precision": _precision(known),
        "versions": _versions(known, environment),
        "fingerprints": _fingerprints(known),
    }
    return Contents(
        results=tuple(known), views=tuple(views), tables=tables, keys=_keys(styles),
        facts=tuple(_facts(known, views, wall_seconds)),
        time_words=_time_words(steps, wall_seconds) + _tuning_words(searches),
        terms=(*terms(views, level=level), *(TRANSFER_TERMS if transfers else ())),
        pairs=pairs, sweep=sweep_view(views),
        tuning=tuning_view(
            searches, found, styles, root, budget=budget, validation=validation, level=level,
            at_defaults=load(at_defaults, root),
        ) if searches else None,
    )  # fmt: skip


def _keys(styles: Mapping[str, Style]) -> dict[str, Key]:
    return {label: Key(variable(style.colour), style.dashed) for label, style in styles.items()}


def _facts(results: Sequence[StudyResult], views: Sequence[View], wall_seconds: float) -> list[tuple[str, str]]:
    studies = [result.study for result in results]
    finished = sum(result.status == "ok" for result in results)
    tested = sorted({count.test for each in views for count in each.rows.counts if count.test})
    sizes = list({r.study.n_train: r.labelled for r in sorted(results, key=lambda r: r.study.n_train)}.values())
    found = [("Studies finished", f"{finished} of {len(results)}")]
    if studies:
        found += [
            ("Methods", str(len({study.method.label for study in studies}))),
            (
                "Labelled subjects, training + validation",
                ", ".join(sizes) if len(sizes) < 4 else f"{sizes[0]} to {sizes[-1]}",
            ),
            ("Seeds", str(len({study.seed for study in studies}))),
        ]
    if tested:
        found.append(("Test subjects", listed(tested)))
    return [*found, ("Wall-clock time", duration(wall_seconds))] if wall_seconds else found


def _time_words(steps: Sequence[StepRow], wall_seconds: float) -> str:
    total = sum(row.seconds for row in steps)
    if not total:
        return "No step recorded its time."
    saved = sum(row.seconds_unshared for row in steps) - total
    words = f"All steps together worked for {duration(total)}"
    words += f", in {duration(wall_seconds)} on the clock." if wall_seconds else "."
    if saved > 0:
        words += f" Sharing what several studies need saved {duration(saved)}."
    return words


def _tuning_words(searches: Sequence[SearchResult]) -> str:
    trials = sum(trial.seconds / stage.shared_by for s in searches for stage in s.stages for trial in stage.trials)
    return f" Before them, the trials of tuning took {duration(trials)} of device time." if searches else ""


def _precision(results: Sequence[StudyResult]) -> Table:
    """Where and in which precision networks were trained, layer by layer where layers differ."""
    counts = Counter((r.study.encoder.label, r.device) for r in results if r.status == "ok" and r.parameters)
    return Table(
        name="precision", caption="Device, precision and memory format in which networks were trained.",
        columns=("Encoder", "Trained in", "Studies"), headers=2,
        rows=tuple((Cell(label), Cell(device), Cell(str(n))) for (label, device), n in counts.items()),
        records=tuple({"encoder": e, "trained": device, "studies": n} for (e, device), n in counts.items()),
    )  # fmt: skip


def _versions(results: Sequence[StudyResult], environment: Mapping[str, str]) -> Table:
    """What ran: of the benchmark, and of each study where studies say more."""
    found: dict[str, dict[str, None]] = {name: {value: None} for name, value in environment.items()}
    for result in results:
        for name, value in result.environment.items():
            found.setdefault(name, {})[value] = None
    records = [{"name": name, "version": ", ".join(values)} for name, values in found.items()]
    return Table(
        name="versions", caption="Packages, commit and platform; several values mean that studies differ.",
        columns=("Name", "Version"), headers=2,
        rows=tuple((Cell(r["name"]), Cell(r["version"])) for r in records), records=tuple(records),
    )  # fmt: skip


def _fingerprints(results: Sequence[StudyResult]) -> Table:
    """What went in: equal fingerprints mean equal content."""
    found: dict[tuple[str, str], set[str]] = {}
    for result in results:
        study = result.study
        at = f"n = {result.labelled}, seed {study.seed}"
        found.setdefault((f"images of ‘{study.target.data.name}’", result.arrays), set())
        found.setdefault((f"split of ‘{study.target.task.name}’, {at}", result.split), set())
        found.setdefault((f"pretraining of ‘{study.method.label}’, seed {study.seed}", result.pretraining), set())
    records = [{"what": what, "fingerprint": value} for what, value in found if value]
    return Table(
        name="fingerprints", caption="Fingerprints of what the studies were made from; equal ones mean equal content.",
        columns=("What", "Fingerprint"), headers=2,
        rows=tuple((Cell(r["what"]), Cell(r["fingerprint"])) for r in records), records=tuple(records),
    )  # fmt: skip
