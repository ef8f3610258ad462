"""What comes in, window by window, beside what the model was trained on."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ctlr.errors import ConfigError
from ctlr.monitoring import Drift, Reference, Seen, drift_between
from ctlr.specs import ModelCard
from ctlr.workspace import write_aside

__all__ = ["Watch"]


class Watch:
    """Counts images of a window, and judges each window once, when it is full: looking again would raise false alarms.

    No image is kept, and nobody's name: of each image the features, until its window is full.

    Args:
        reference: Of the model.
        card: Of the model.
        window: Images of a window.
        file: That is written after each window, and at the end.
        told: Called with each verdict.

    Raises:
        ConfigError, WorkspaceError: The file cannot be written.
    """

    def __init__(
        self, reference: Reference, card: ModelCard, *, window: int, file: Path | None, told: Callable[[Drift], None]
    ) -> None:
        self._reference, self._card, self._size, self._file, self._told = reference, card, window, file, told
        self._thread = ThreadPoolExecutor(1, "watch")
        self._lock = threading.Lock()
        self._seen = Seen(card)
        self._windows = self._alarms = self._images = 0
        self._last: Drift | None = None
        self._at = 0.0
        if file is not None and not file.parent.is_dir():
            raise ConfigError(f"{file.parent} is no folder. Make it first, or name a file elsewhere.")
        self._write()  # a place that cannot be written to is told before anything is served

    def note(
        self, images: npt.NDArray[np.float32], cells: Mapping[str, Sequence[str]], values: npt.NDArray[np.float64]
    ) -> None:
        """Look at images, and at what the model reads beside them, later and in another thread."""
        self._thread.submit(self._note, images, cells, values).add_done_callback(_lament)

    def _note(
        self, images: npt.NDArray[np.float32], cells: Mapping[str, Sequence[str]], values: npt.NDArray[np.float64]
    ) -> None:
        for place, (image, value) in enumerate(zip(images, values, strict=True)):
            with self._lock:
                self._seen.add_image(image)
                self._seen.add_columns({name: column[place] for name, column in cells.items()})
                self._seen.add_prediction(np.atleast_1d(value))
                self._images += 1
            if self._seen.images >= self._size:
                self._judge()

    def _judge(self) -> None:
        found = drift_between(self._reference, self._seen)
        with self._lock:
            self._seen, self._last, self._at = Seen(self._card), found, time.time()
            self._windows += 1
            self._alarms += found.verdict == "drift"
        self._told(found)
        self._write()

    def _write(self) -> None:
        if self._file is not None:
            write_aside(self._file, json.dumps(self.state(), indent=1).encode())

    def state(self) -> dict[str, Any]:
        """The last full window's verdict, and what has come since."""
        with self._lock:
            last, filling = self._last, self._seen.images
            told = last.told if last else f"too few to tell: {filling} of the first window's {self._size} images."
            return {
                "verdict": last.verdict if last else "too few", "told": told, "window": self._size,
                "filling": filling, "images": self._images, "windows": self._windows, "alarms": self._alarms,
                "judged_at": round(self._at, 3) if last else None,
                "last": last.model_dump(mode="json") if last else None,
            }  # fmt: skip

    def close(self) -> None:
        """End, and write the state."""
        self._thread.submit(self._write).add_done_callback(_lament)
        self._thread.shutdown()


def _lament(done: Future[None]) -> None:
    """Predictions go on where the file of the watch cannot be written any more; whoever runs the server is told."""
    if (error := done.exception()) is not None:
        logging.getLogger("ctlr.serving").warning("drift is not written: %s", error)
