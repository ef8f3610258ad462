"""What the report for programs holds, as values; and its JSON schema.

The schema has a version, `SCHEMA`. Within one, keys may be added; where one goes, or means something else, the version
is another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field

from ctlr.errors import WorkspaceError
from ctlr.specs import TargetSummary, Value

__all__ = [
    "FILE",
    "SCHEMA",
    "Counts",
    "Dataset",
    "Gain",
    "Interval",
    "LeftOut",
    "Made",
    "Part",
    "Question",
    "Report",
    "Score",
    "Transfer",
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


class Question(Part):
    """One target, from one source or none, on one encoder, and by what it is judged."""

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


class Transfer(Question):
    """What came of a question."""

    title: str
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
