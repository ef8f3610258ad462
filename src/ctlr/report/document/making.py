"""From a benchmark's findings to the report for programs."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ctlr import __version__
from ctlr.config import public_dump
from ctlr.report.answer.section import answer_of, lead_of
from ctlr.report.document.values import Counts, Dataset, Gain, LeftOut, Made, Report, Score, Transfer
from ctlr.report.findings import Findings, View
from ctlr.report.finished import Finished
from ctlr.report.numbers.rows import GainRow, ScoreRow
from ctlr.report.provenance.section import hashes_table, precision_table, versions_of
from ctlr.report.statistics.estimates import Estimate
from ctlr.report.wording import measure
from ctlr.specs import METRICS, DataTask, StoredArrays, StudyResult

__all__ = ["document", "gain_of", "interval_of"]


def document(found: Findings) -> Report:
    """The report of a benchmark, `report` being the page's name."""
    finished, results = found.finished, found.results
    said = lead_of(found)
    trained = (*results, *finished.at_defaults)
    return Report(
        benchmark=finished.config.name, description=finished.config.description, report="report.html",
        ctlr=__version__,
        answer=f"{said.text} {said.check}".strip(),
        confidence=finished.level, studies=len(results), finished=sum(r.status == "ok" for r in results),
        failed=sum(result.status == "failed" for result in trained), seconds=float(round(finished.seconds)),
        warnings=tuple(_warnings(finished, trained)),
        transfers=tuple(_transfer(view) for view in found.views),
        data=tuple(_dataset(name, stored) for name, stored in finished.arrays.items()), targets=finished.targets,
        provenance=_made(finished, results), results=tuple(result.record() for result in results),
    )  # fmt: skip


def gain_of(row: GainRow, against: str, labelled: str) -> Gain:
    """A comparison of a table, whose size is called `labelled`."""
    check = row.check
    return Gain(
        method=row.method, against=against, n_train=row.n_train, labelled=labelled, verdict=row.gain.verdict,
        stands=row.stands, p=_known(row.gain.p), p_holm=_known(row.p_holm),
        false_claim=check.false if check is not None and row.gain.shown else None,
        detectable=check.detectable if check is not None else None, **interval_of(row.gain),
    )  # fmt: skip


def interval_of(estimate: Estimate) -> dict[str, Any]:
    """The fields of an `Interval`."""
    return {
        "mean": estimate.mean, "low": _known(estimate.low), "high": _known(estimate.high), "se": _known(estimate.se),
        "n_seeds": estimate.n_seeds, "n_subjects": estimate.n_subjects, "over": estimate.resampled,
    }  # fmt: skip


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _warnings(finished: Finished, trained: Sequence[StudyResult]) -> list[str]:
    failed = Counter(result.reason or "no reason was recorded" for result in trained if result.status == "failed")
    found = [f"{count} of {len(trained)} studies failed: {reason}" for reason, count in failed.most_common()]
    found += [f"{count} images were left out of {reason}" for reason, count in Counter(finished.excluded).most_common()]
    return [*found, *(f"{each.data}.{each.task}: {words}" for each in finished.targets for words in each.warnings)]


def _transfer(view: View) -> Transfer:
    contest, rows = view.contest, view.rows
    said = answer_of(view)
    best = rows.references

    def score(row: ScoreRow) -> Score:
        labelled = contest.labelled(row.n_train)
        return Score(method=row.method, n_train=row.n_train, labelled=labelled, **interval_of(row.estimate))

    def gain(row: GainRow, against: str) -> Gain:
        return gain_of(row, against, contest.labelled(row.n_train))

    return Transfer(
        title=view.heading, target=_end(contest.target), source=_end(contest.source), encoder=contest.encoder.label,
        metric=contest.task.headline, better="lower" if METRICS[contest.task.headline] == "min" else "higher",
        unit=measure(contest), baseline=contest.baseline or "", answer=said.text, notes=said.notes,
        counts=tuple(
            Counts(n_train=row.n_train, labelled=contest.labelled(row.n_train), test_subjects=row.test,
                   seeds=row.seeds, finished=row.finished, failed=row.failed)
            for row in rows.counts
        ),
        scores=tuple(map(score, rows.scores)),
        gains=tuple(gain(row, contest.baseline or "") for row in rows.gains),
        over_baselines=tuple(gain(row, best[row.n_train]) for row in rows.over_references),
    )  # fmt: skip


def _end(end: DataTask | None) -> str:
    return f"{end.data.name}.{end.task.name}" if end else ""


def _dataset(name: str, stored: StoredArrays) -> Dataset:
    return Dataset(
        name=name, fingerprint=stored.fingerprint, images=stored.rows, subjects=stored.subjects, shape=stored.shape,
        dtype=stored.dtype,
        excluded=tuple(
            LeftOut(reason=reason, images=images)
            for reason, images in Counter(each.reason for each in stored.excluded).most_common()
        ),
    )  # fmt: skip


def _made(finished: Finished, results: Sequence[StudyResult]) -> Made:
    hashes = [(str(r["what"]), str(r["fingerprint"])) for r in hashes_table(finished, results).records]
    return Made(
        command=finished.command, typed=finished.said,
        file=json.loads(json.dumps(public_dump(finished.config, finished.place))),
        environment=versions_of(results, finished.environment),
        precision=tuple(dict(record) for record in precision_table(finished, results).records),
        hashes=tuple({"what": what, "fingerprint": value} for what, value in hashes),
        weights={result.study.id: result.weights for result in results if result.weights},
    )  # fmt: skip
