"""Ask a model in the page: where in an image it looks, and what it says of a new one."""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from ctlr.data.inputs import cells_of, given_cells
from ctlr.errors import DataError, WorkspaceError
from ctlr.ui.models import Models, Trained
from ctlr.ui.pictures import drawn

__all__ = ["Answer", "Asking", "Saliency"]

Saliency = Literal["gradient", "occlusion"]

_KEPT = 512
"""Drawings that are kept."""
_WAITING = 4
"""Of saliency, which may be under way; more are refused."""
_PATIENCE = 120.0
"""Seconds that one is waited for."""


@dataclass(frozen=True)
class Answer:
    """What a model says of an image."""

    said: str
    shares: list[tuple[str, float]]
    """Class and probability, the likeliest first; empty of a regression."""
    drift: str
    """How the image is beside those that the model was trained on; empty where that is not known."""
    strange: list[tuple[str, float, float, float]]
    """Features beyond all of those images: name, value, and the least and largest of theirs."""
    also: list[tuple[str, str]]
    """Its other targets, and what it says of them."""


class Asking:
    """Loads models, and computes in one thread, so that pages stay quick; keeps what was drawn by what it shows."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._pool = ThreadPoolExecutor(1, "asking")
        self._lock = threading.Lock()
        self._drawn: OrderedDict[tuple[str, int, str], Future[bytes]] = OrderedDict()
        self._load = functools.lru_cache(maxsize=2)(_loaded)

    def picture(self, model: Trained, number: int) -> bytes:
        """A PNG of a test image.

        Raises:
            ConfigError: There is none.
        """
        image = self._models.tested(model).image(number)  # refuses what there is not, before a place is kept for it
        return self._kept((model.id, number, ""), lambda: _done(drawn(image)))

    def saliency(self, model: Trained, number: int, kind: Saliency) -> bytes:
        """The same with what the model looks at.

        Raises:
            ConfigError: There is no such image.
            DataError: The model has no gradient.
            WorkspaceError: Others are under way, or it takes longer than somebody waits.
        """
        self._models.tested(model).image(number)
        with self._lock:
            known = (model.id, number, kind) in self._drawn
            busy = sum(not each.done() for each in self._drawn.values())
        if not known and busy >= _WAITING:
            raise WorkspaceError("Other pictures are being computed. Ask again in a moment.")
        begin = functools.partial(self._pool.submit, self._salient, model, number, kind)
        return self._kept((model.id, number, kind), begin)

    def _kept(self, key: tuple[str, int, str], begin: Callable[[], Future[bytes]]) -> bytes:
        with self._lock:
            found = self._drawn.get(key) or begin()
            self._drawn[key] = found
            self._drawn.move_to_end(key)
            while len(self._drawn) > _KEPT and next(iter(self._drawn.values())).done():
                self._drawn.popitem(last=False)
        try:
            return found.result(_PATIENCE)
        except TimeoutError as error:
            raise WorkspaceError("It takes longer than usual. Load this again in a minute.") from error
        finally:
            if found.done() and found.exception() is not None:
                with self._lock:
                    self._drawn.pop(key, None)

    def _salient(self, model: Trained, number: int, kind: Saliency) -> bytes:
        from ctlr.serving import gradient_map, occlusion_map

        tested, loaded = self._models.tested(model), self._load(model.folder)
        image, row = tested.image(number), tested.rows[number]
        assert tested.store is not None
        columns = getattr(loaded.card, "inputs", ())
        beside = {each.name: cells_of(tested.store.table, each.name, np.array([row])) for each in columns}
        heat = (gradient_map if kind == "gradient" else occlusion_map)(loaded, image, inputs=beside)
        return drawn(image, heat)

    def ask(self, model: Trained, name: str, content: BinaryIO, inputs: Mapping[str, str]) -> Answer:
        """What a model says of a file, prepared as those were that it was trained on; nothing of it is kept.

        Args:
            model: Of pictures or volumes.
            name: The file's, of which the ending counts.
            content: From its beginning.
            inputs: What the model reads beside it, by the column's name; empty where unknown.

        Raises:
            DataError: The file does not fit the model; says the rule, the value and the remedy.
        """
        return self._pool.submit(self._asked, model, name, content, inputs).result()

    def _asked(self, model: Trained, name: str, content: BinaryIO, inputs: Mapping[str, str]) -> Answer:
        from ctlr.serving._files import preparation_for
        from ctlr.serving.http.uploads import Upload, prepared

        loaded = self._load(model.folder)
        columns = loaded.card.inputs
        beside = {each.name: [inputs.get(each.name) or None] for each in columns}
        cells = {column: cell for column, (cell,) in given_cells(columns, beside, 1).items()}
        (found,) = prepared([Upload(name, content)], preparation_for(loaded))
        if found.image is None:
            raise DataError(found.reason)
        said = loaded.predict_each(found.image[None], inputs=beside, trusted=True)
        every = {target: np.atleast_1d(values[0]) for target, values in said.items()}
        return _answer(loaded.card, model.folder, found.image, cells, every)


def _loaded(folder: Path) -> Any:
    from ctlr.training.checkpoint import load_model

    return load_model(folder)


def _done(data: bytes) -> Future[bytes]:
    found = Future[bytes]()
    found.set_result(data)
    return found


def _answer(card: Any, folder: Path, image: Any, cells: Mapping[str, str], every: Mapping[str, Any]) -> Answer:
    from ctlr.monitoring import FILE, Seen, drift_between, read_reference

    values = every[card.target]
    shares = sorted(zip(card.classes, values.tolist(), strict=True), key=lambda pair: -pair[1]) if card.classes else []
    units = card.preparation.units if card.preparation else ""
    said = shares[0][0] if shares else f"{float(values[0]):.4g}{f' {units}' if units else ''}"
    drift, strange = "", list[tuple[str, float, float, float]]()
    if (folder / FILE).is_file():
        reference, seen = read_reference(folder), Seen(card)
        seen.add_image(image)
        seen.add_columns(cells)
        seen.add_prediction(values)
        drift = drift_between(reference, seen).told
        for name, (value,) in seen.features.items():
            known = reference.features.get(name, ())
            if known and not known[0] <= float(f"{value:.6g}") <= known[-1]:
                strange.append((name, value, known[0], known[-1]))
    also = [(each.target, _worded(each, every[each.target])) for each in card.also]
    return Answer(said, shares, drift, strange, also)


def _worded(answer: Any, values: Any) -> str:
    """What is said of another target."""
    if not answer.classes:
        return f"{float(values[0]):.4g}"
    return f"{answer.classes[int(values.argmax())]}, with a probability of {float(values.max()):.4f}"
