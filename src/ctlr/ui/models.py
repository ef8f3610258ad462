"""The models of a run that has ended, and what they said of the test images; read from the workspace alone.

Models are called by the fingerprint of their study, as the report's `models.json` lists them, and test images by their
place in the study's predictions: neither is a path, and nothing that is not listed there is ever opened.
"""

from __future__ import annotations

import functools
import io
import json
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctlr.cells import plain
from ctlr.data.store import ArrayStore
from ctlr.errors import ConfigError, CtlrError, DataError, WorkspaceError
from ctlr.report.numbers.contests import Done, contests, load
from ctlr.report.numbers.predictions import Predictions
from ctlr.report.numbers.rows import bin_edges, outcomes_of
from ctlr.report.numbers.tested import tested_rows
from ctlr.report.statistics.estimates import Estimate, Gain, mean_score, paired_gain
from ctlr.specs import METRICS, StoredArrays, StudyResult
from ctlr.ui.options import Options
from ctlr.workspace import Workspace

__all__ = ["LEVEL", "Models", "Said", "Trained", "zipped"]

LEVEL = 0.95
"""Share of intervals that hold the true value."""

_PATH = re.compile(r"studies/([0-9a-f]{24})")
_CHUNK = 2**20
_PRIVATE = "predictions.csv"
"""Of a study's folder: pairs every subject's pseudonym with its true value, and no model needs it."""


@dataclass(frozen=True)
class Trained:
    """A finalist of a race, or the best seed of a method."""

    id: str
    best: bool
    """Whether validation chose it among all of its target's models."""
    metric: str
    result: StudyResult
    folder: Path
    bytes: int
    """Of the model's files; 0 where the study left none."""
    card: dict[str, Any]
    """What `model.json` says; empty likewise."""

    @property
    def method(self) -> str:
        """Its key in the file."""
        return self.result.study.method.label

    @property
    def encoder(self) -> str:
        """Its key in the file; empty where the method has none."""
        study = self.result.study
        return study.encoder.label or study.encoder.name if study.method.has_encoder else ""

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.method}, {self.encoder}" if self.encoder else self.method

    @property
    def target(self) -> str:
        """`dataset.task`."""
        return f"{self.result.study.target.data.name}.{self.result.study.target.task.name}"

    @property
    def classes(self) -> bool:
        """Whether it tells classes."""
        return self.result.study.target.task.kind == "classification"

    @property
    def validation(self) -> float | None:
        """Score by which it was chosen."""
        return self.result.chosen_by.get(self.metric)

    @property
    def options(self) -> dict[str, Any]:
        """Those of method and encoder that are not as they are by default."""
        study, found = self.result.study, dict[str, Any]()
        parts = {"": study.method, "encoder.": study.encoder} if study.method.has_encoder else {"": study.method}
        for before, part in parts.items():
            told = part.model_dump(mode="json", exclude_defaults=True, exclude={"label", "plugin"})
            found |= {f"{before}{key}": value for key, value in _flat(told) if key not in ("method", "name")}
        return found


def _flat(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


@dataclass(frozen=True, eq=False)
class Said:
    """What a model said of the test images, N of them."""

    done: Done
    test: Predictions
    store: ArrayStore | None
    """None where the arrays are gone."""
    rows: NDArray[np.int64]
    """(N,) rows of the store; -1 where it cannot be told for certain."""
    score: Estimate | None

    @property
    def classes(self) -> list[str]:
        """Names; empty of a regression."""
        return [plain(name) for name in self.test.classes]

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(N,) probability of the predicted class; of a regression the absolute error."""
        if self.test.probabilities is None:
            return np.abs(self.test.prediction - self.test.truth)
        return np.asarray(self.test.probabilities.max(axis=1))

    @property
    def matrix(self) -> NDArray[np.int64]:
        """(K, K) counts: true class by row, predicted one by column."""
        count = len(self.test.classes)
        cells = self.test.codes * count + self.test.prediction.astype(np.int64)
        return np.bincount(cells, minlength=count * count).reshape(count, count)

    def order(self, truth: int | None = None, said: int | None = None) -> NDArray[np.int64]:
        """Places of the images, what is most wrong first.

        Of classes mistakes come first, the surest one foremost, and then what is right, the least sure foremost; of
        values the largest error first.

        Args:
            truth: Only images of this class.
            said: Only images that were taken for this class.
        """
        sure = self.confidence
        if not self.test.classes:
            return np.argsort(-sure, kind="stable")
        wrong = self.test.truth != self.test.prediction
        found = np.lexsort((np.where(wrong, -sure, sure), ~wrong))
        kept = np.ones(len(found), bool)
        kept &= True if truth is None else self.test.truth == truth
        kept &= True if said is None else self.test.prediction == said
        return found[kept[found]]

    def image(self, number: int) -> NDArray[np.float32]:
        """(C, *S) of a test image.

        Raises:
            ConfigError: There is none.
        """
        if self.store is None or not 0 <= number < len(self.rows) or self.rows[number] < 0:
            raise ConfigError("There is no such image.")
        image: NDArray[np.float32] = self.store.read([int(self.rows[number])])[0]
        return image


class Models:
    """The models of a workspace's runs."""

    def __init__(self, options: Options) -> None:
        self._root, self._volumes = options.workspace, options.volumes
        self._tested = functools.lru_cache(maxsize=8)(self._read_tested)

    def of(self, name: str) -> list[Trained]:
        """Those that a run's report lists, best on validation first.

        Raises:
            ConfigError: There is no such report.
            WorkspaceError: Its record cannot be read.
        """
        record = self._root / "reports" / name / "models.json"
        if not record.is_file():
            raise ConfigError("There is no record of models: the report has not been written.")
        try:
            told = json.loads(record.read_bytes())
            found = {path: self._trained(each) for path, each in _once(told).items()}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise WorkspaceError(
                f"reports/{name}/models.json cannot be read. Remove it and run `ctlr report` again."
            ) from error
        ranked = sorted((each for each in found.values() if each is not None), key=_rank)
        # Of each encoder and source one is the best; of them the first by validation.
        firsts = {each.target: each.id for each in reversed(ranked) if each.best}
        return [replace(each, best=firsts.get(each.target) == each.id) for each in ranked]

    def one(self, name: str, model: str) -> Trained:
        """A model of a run.

        Raises:
            ConfigError: There is none.
        """
        for each in self.of(name):
            if each.id == model:
                return each
        raise ConfigError("There is no such model of this run.")

    def _trained(self, told: dict[str, Any]) -> Trained | None:
        match = _PATH.fullmatch(str(told["path"]))
        if match is None:
            return None
        folder = self._root / "studies" / match[1]
        try:
            result = StudyResult.model_validate_json((folder / "result.json").read_bytes())
            card = json.loads((folder / "model.json").read_bytes()) if (folder / "model.json").is_file() else {}
        except (OSError, ValueError):
            return None
        size = sum(path.stat().st_size for path in _files(folder)) if card else 0
        return Trained(match[1], bool(told["best"]), str(told["metric"]), result, folder, size, card)

    def tested(self, model: Trained) -> Said:
        """What it said of the test images.

        Raises:
            DataError: Its predictions cannot be read.
            WorkspaceError: So it is with the workspace.
        """
        return self._tested(model.id, model.metric)

    def _read_tested(self, identity: str, metric: str) -> Said:
        folder = self._root / "studies" / identity
        result = StudyResult.model_validate_json((folder / "result.json").read_bytes())
        (done,) = load([result], self._root)
        if not isinstance(done, Done):
            raise DataError(done.reason)
        (contest,) = contests([done])
        score = mean_score(outcomes_of([done]), metric, bins=bin_edges(contest, result.study.n_train), level=LEVEL)
        store, rows = None, np.full(len(done.predictions["test"].truth), -1)
        try:
            stored = StoredArrays.model_validate_json(
                (self._root / "arrays" / result.arrays / "stored.json").read_bytes()
            )
            store = ArrayStore(stored, Workspace(self._root))
            rows = tested_rows(done, store, Workspace(self._root))
        except (OSError, ValueError, CtlrError):
            store = None
        return Said(done, done.predictions["test"], store, rows, score)

    def hides(self, model: Trained) -> str:
        """Why a model's images are not shown; empty where they are."""
        data = model.result.study.target.data
        if data.ndim < 2:
            return "Points and signals have no pictures."
        if (data.ndim > 2 or data.brains) and not data.public and not self._volumes:
            return (
                "Volumes may show a face or be known again, so they are not shown. Whoever may see them starts the app "
                "with `ctlr ui --show-volumes`."
            )
        return ""

    def difference(self, one: Trained, other: Trained) -> Gain | str:
        """What `one` gains over `other` on the test images that both were asked, paired; or why it cannot be told.

        Positive is better for `one`, whichever way the metric runs.
        """
        if one.metric != other.metric:
            return f"They were judged by different metrics, {one.metric} and {other.metric}."
        first, second = self.tested(one), self.tested(other)
        if _asked(first) != _asked(second):
            return "They were not tested on the same subjects: their scores cannot be paired."
        # A pair of two models: their seeds need not be the same number.
        mine, theirs = (replace(outcomes_of([each.done])[0], seed=0) for each in (first, second))
        (contest,) = contests([second.done])
        bins = bin_edges(contest, second.done.result.study.n_train)
        try:
            found = paired_gain([mine], [theirs], one.metric, bins=bins, level=LEVEL)
        except DataError as error:
            return str(error)
        return found if found is not None else f"{one.metric} is not defined for one of them."


def _once(told: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By path: what has no encoder stands beside every one of them, and is the best where it is so beside one."""
    found: dict[str, dict[str, Any]] = {}
    for each in told:
        if each["path"] not in found or each["best"]:
            found[each["path"]] = each
    return found


def _rank(model: Trained) -> tuple[str, float]:
    value = model.validation
    sign = -1 if METRICS.get(model.metric) == "max" else 1
    return (model.target, sign * value if value is not None else float("inf"))


def _asked(tested: Said) -> list[tuple[str, str]]:
    """Pseudonym and true value of every test image."""
    names = tested.classes
    truth = [names[code] for code in tested.test.codes.tolist()] if names else map(str, tested.test.truth.tolist())
    return sorted(zip(tested.test.subjects.tolist(), truth, strict=True))


# ---------------------------------------------------------------- the folder of a model


def _files(folder: Path) -> list[Path]:
    """A model's own files: no folders, links or devices, and no predictions."""
    found = sorted(folder.iterdir())
    return [path for path in found if stat.S_ISREG(path.lstat().st_mode) and path.name != _PRIVATE]


class _Sink(io.RawIOBase):
    """Takes what the archive writes, until it is sent."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(self._parts[-1])

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def zipped(model: Trained, name: str) -> Iterator[bytes]:
    """A zip archive of a model's folder, made as it is sent.

    Args:
        model: Whose folder.
        name: Of the folder in the archive.
    """
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:  # weights do not shrink
        for path in _files(model.folder):
            place = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            with open(place, "rb") as file, archive.open(f"{name}/{path.name}", "w", force_zip64=True) as out:
                while chunk := file.read(_CHUNK):
                    out.write(chunk)
                    yield sink.taken()
    yield sink.taken()
