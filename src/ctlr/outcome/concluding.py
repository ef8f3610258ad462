"""What a benchmark came to, for a tracker: the answer, gains with intervals and counts, the best models."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from ctlr.report.answer.headline import answer
from ctlr.report.findings import Findings, View, findings
from ctlr.report.finished import Finished
from ctlr.report.model_card.card import model_records
from ctlr.tracking import BestModel, Outcome, Point

__all__ = ["outcome_of"]

_FIELDS = {
    "gain": "mean",
    "gain_low": "low",
    "gain_high": "high",
    "gain_seeds": "n_seeds",
    "gain_subjects": "n_subjects",
}
"""Name of a metric -> what it is of a gain: MLflow draws each over the labelled subjects."""


def outcome_of(finished: Finished, page: Path) -> Outcome:
    """Read what a benchmark's report says.

    Args:
        finished: The benchmark.
        page: Its report.

    Raises:
        DataError: Studies of one transfer were tested on different subjects.
    """
    found = findings(finished)
    return Outcome(
        description=_description(found),
        points=[point for view in found.views for point in _gains(view, several=len(found.views) > 1)],
        report=page.parent,
        studies=frozenset(result.study.id for result in (*finished.results, *finished.at_defaults)),
        best=dict(_best(found)),
    )


def _description(found: Findings) -> str:
    """Markdown."""
    answers = [f"**{view.heading}.** {answer(view.contest, view.rows).text}" for view in found.views]
    return "\n\n".join(filter(None, [found.finished.config.description, *answers]))


def _gains(view: View, *, several: bool) -> Iterator[Point]:
    """`gain/vat` and the like at the number of labelled training subjects; of several transfers `gain/SLUG/vat`."""
    prefix = f"{view.slug}/" if several else ""
    for row in view.rows.gains:
        for name, field in _FIELDS.items():
            value = float(getattr(row.gain, field))
            if math.isfinite(value):
                yield Point(f"{name}/{prefix}{row.method}", value, row.n_train)


def _best(found: Findings) -> Iterator[tuple[str, BestModel]]:
    """The benchmark's name, or of several transfers one with each of them behind it, and whose model is the best."""
    studies = {result.path: result.study for result in found.results}
    for view in found.views:
        name = found.finished.config.name + (f"-{view.slug}" if len(found.views) > 1 else "")
        for record in model_records([view]):
            if record["best"]:
                study, score = studies[record["path"]], record["validation"]
                scored = f", {record['metric']} {score:.4g} on validation" if score is not None else ""
                learned = f"{study.n_train} labelled training subjects, seed {study.seed}{scored}"
                words = f"{view.heading}: {study.method.label} on {study.encoder.label}, {learned}."
                yield name, BestModel(study=study.id, words=words)
