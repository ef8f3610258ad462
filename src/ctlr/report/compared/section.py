"""What was compared: what is predicted from what, by whom, with how many subjects."""

from __future__ import annotations

from collections.abc import Iterator

from ctlr.report.compared.tables import counts_table, methods_table, targets_table
from ctlr.report.findings import Findings
from ctlr.report.numbers.contests import Contest
from ctlr.report.section import Section
from ctlr.specs import DataTask

__all__ = ["compared"]


def compared(found: Findings) -> Iterator[Section]:
    """Always there, also without a study."""
    counts = [counts_table(view.contest, view.rows.counts) for view in found.views]
    methods = methods_table(found.results, list(found.styles))
    targets = targets_table(found.finished.targets)
    settings = [_setting(contest) for contest in found.contests]
    yield Section(
        anchor="compared", heading="What was compared", template="compared/compared.html.j2",
        shows={"contests": list(zip(settings, counts, strict=True)), "methods": methods, "targets": targets},
        tables=(methods, *counts, *([targets] if targets.rows else [])),
    )  # fmt: skip


def _setting(contest: Contest) -> str:
    """One sentence or more: what is predicted, from what, by which encoder."""
    words = f"Predict {_task(contest.target)}."
    if contest.source is not None:
        words += f" Transfer comes from {_task(contest.source)}."
    encoder = contest.encoder
    named = f"{encoder.label} ({encoder.name})" if encoder.label not in ("", encoder.name) else encoder.name
    return f"{words} Encoder: {named}."


def _task(end: DataTask) -> str:
    return f"‘{end.task.name}’ (column {end.task.target}, {end.task.kind}) of the dataset ‘{end.data.name}’"
