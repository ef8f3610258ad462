"""A report for programs: what `ctlr report -o json` prints, and `report.json` beside the page holds.

Its schema has a version, `SCHEMA`. Within one, keys may be added; where one goes, or means something else, the version
is another.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from ctlr import __version__
from ctlr.config import public_dump
from ctlr.errors import WorkspaceError
from ctlr.report.answer.section import answer_of, lead_of
from ctlr.report.findings import Findings, View
from ctlr.report.finished import Finished
from ctlr.report.numbers.rows import GainRow, ScoreRow
from ctlr.report.provenance.section import hashes_table, precision_table, versions_of
from ctlr.report.statistics.estimates import Estimate
from ctlr.report.wording import measure
from ctlr.specs import METRICS, DataTask, StoredArrays, StudyResult, TargetSummary, Value

__all__ = [
    "FILE",
    "SCHEMA",
    "Counts",
    "Dataset",
    "Gain",
    "Interval",
    "Made",
    "Part",
    "Report",
    "Score",
    "Transfer",
    "document",
    "gain_of",
    "interval_of",
    "json_schema",
    "read_document",
    "schema_of",
]

SCHEMA: Literal["ctlr.report/1"] = "ctlr.report/1"
FILE = "report.json"
"""Beside `report.html`."""

Verdict = Literal["gain", "none", "negative transfer", "not tested"]


class Part(Value):
    """A part of the document; keys that a later CTLR has added are passed over."""

    model_config = ConfigDict(extra="ignore")


class Interval(Part):
    """A mean over seeds and how far it may be trusted."""

    mean: float
    low: float | None
    """Ends of the interval, which holds the true value with the probability `confidence`; null where there is none."""
    high: float | None
    se: float | None
    """Standard error."""
    n_seeds: int
    n_subjects: int
    """Test subjects."""
    over: Literal["over seeds and subjects", "over subjects only"]
    """What the interval accounts for."""


class Score(Interval):
    """A method's headline metric on the test set at one size."""

    method: str
    n_train: int
    labelled: str
    """Training and validation subjects in words: `20 + 20`."""


class Gain(Interval):
    """A method against another, paired by seed and test subject: `mean` is the gain, positive is better."""

    method: str
    against: str
    n_train: int
    labelled: str
    verdict: Verdict
    """Of this comparison alone: whether the interval leaves out zero, and on which side."""
    stands: bool
    """Whether the verdict also holds with all comparisons of the transfer taken together (Holm)."""
    p: float | None
    p_holm: float | None
    false_claim: float | None
    """Probability that a claimed difference is none; null where none is claimed."""
    detectable: float | None
    """The gain that would have been seen with a chance of 80 %; null where nothing was tested."""


class Counts(Part):
    """Who was there at one size."""

    n_train: int
    labelled: str
    test_subjects: int
    seeds: int
    finished: int
    failed: int


class Transfer(Part):
    """One target, from one source or none, on one encoder."""

    title: str
    target: str
    """`dataset.task`."""
    source: str
    """Likewise; empty without one."""
    encoder: str
    metric: str
    """Headline metric of the target's task."""
    better: Literal["lower", "higher"]
    unit: str
    """Of the metric; empty where it has none, or where that is not known."""
    baseline: str
    """Label of the training from scratch; empty without one."""
    answer: str
    """Who gains over it, where and by how much."""
    notes: tuple[str, ...]
    """What weakens or details the answer."""
    counts: tuple[Counts, ...]
    scores: tuple[Score, ...]
    gains: tuple[Gain, ...]
    """Over the training from scratch."""
    over_baselines: tuple[Gain, ...]
    """Over the best of the baselines at each size, a family of comparisons of its own."""


class LeftOut(Part):
    """Images that were left out for one reason."""

    reason: str
    images: int


class Dataset(Part):
    """What is stored of a dataset."""

    name: str
    fingerprint: str
    """Equal ones mean equal images."""
    images: int
    subjects: int
    shape: tuple[int, ...]
    """(C, *spatial) of an image."""
    dtype: str
    excluded: tuple[LeftOut, ...]


class Made(Part):
    """What it takes to make the results again."""

    command: str
    """Runs the file that `file` holds."""
    typed: str
    """The command that began the run, home folders hidden; empty where it is not known, or not told."""
    file: dict[str, Any]
    """The benchmark with every option in place."""
    environment: dict[str, str]
    """Packages, commit, code, system and processor; several values, apart by commas, where studies differ."""
    precision: tuple[dict[str, Any], ...]
    """Of each stage: `stage`, `of`, `computed_in`, `times`."""
    hashes: tuple[dict[str, str], ...]
    """Of file, code, data, splits and pretrainings: `what`, `fingerprint`."""
    weights: dict[str, str]
    """Study -> SHA-256 of its model."""


class Report(Part):
    """A benchmark as far as it has been run."""

    schema_: Literal["ctlr.report/1"] = Field(SCHEMA, alias="schema")
    benchmark: str
    """Its name."""
    description: str
    report: str
    """Path of the page; in `report.json` its name."""
    ctlr: str
    """Version that wrote it."""
    answer: str
    """The page's first words: the claim that a reader takes away, with its interval, and how likely it is false."""
    confidence: float
    """Of every interval."""
    studies: int
    finished: int
    failed: int
    """Studies that failed, those of a tuned benchmark with options as written among them."""
    seconds: float
    """That the runs have taken on the clock; 0 when unknown."""
    warnings: tuple[str, ...]
    """What to look at before the numbers are believed: failures, images left out, doubtful targets."""
    transfers: tuple[Transfer, ...]
    data: tuple[Dataset, ...]
    targets: tuple[TargetSummary, ...]
    provenance: Made
    results: tuple[dict[str, Any], ...]
    """One a study, as a row of `results.csv`: `study`, `method`, `data`, `source`, `target`, `encoder`, `n_train`,
    `n_validation`, `seed`, `status` (ok or failed), `reason`, `<split>_<metric>` and `seconds_<step>`."""


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


def read_document(page: Path) -> Report:
    """What lies beside a page that `build_report` wrote, with the page's path.

    Raises:
        WorkspaceError: It is missing or damaged.
    """
    file = page.parent / FILE
    try:
        return Report.model_validate_json(file.read_bytes()).model_copy(update={"report": str(page)})
    except (OSError, ValueError) as error:
        raise WorkspaceError(
            f"{file} is missing, damaged or of another version of CTLR. Write it anew with `ctlr report`."
        ) from error


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the document."""
    return schema_of(Report, f"CTLR report, {SCHEMA}")


def schema_of(document: type[Part], title: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a document that is printed."""
    found = document.model_json_schema(by_alias=True, mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | found | {"title": title}


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
