"""Several requests, one pass through the network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctlr.serving.http.limits import Limits

__all__ = ["Batcher", "Busy"]

Images = npt.NDArray[np.float32]
Cells = Mapping[str, Sequence[str]]
"""Of the columns beside N images, by name, N each; of the model's columns all or none."""
Values = Mapping[str, npt.NDArray[np.float64]]
"""Of each target, N each."""


class Busy(Exception):
    """More images wait than may."""


@dataclass(frozen=True)
class _Asked:
    images: Images
    cells: Cells
    answer: asyncio.Future[Values]


class Batcher:
    """Predicts in one thread what came in while it was busy, and what comes within a moment.

    Args:
        predict: (N, C, *S) and cells -> (N, ...) of each target, any N; called in a thread of its own, never twice at
            once.
        limits: How many at once, how long to wait for others, how many may wait.
        told: Called with the images of each batch, and its seconds.
    """

    def __init__(
        self, predict: Callable[[Images, Cells], Values], limits: Limits, told: Callable[[int, float], None]
    ) -> None:
        self._predict, self._limits, self._told = predict, limits, told
        self._queue: asyncio.Queue[_Asked] = asyncio.Queue()
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, "predict")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, inside a running event loop."""
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        """End; what waits is not answered."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._thread.shutdown()

    async def predict(self, images: Images, cells: Cells) -> Values:
        """Predict images with the columns beside them, together with those of others.

        Raises:
            Busy: Too many wait.
        """
        if self._waiting and self._waiting + len(images) > self._limits.queue:
            raise Busy
        answer: asyncio.Future[Values] = asyncio.get_running_loop().create_future()
        self._waiting += len(images)
        self._queue.put_nowait(_Asked(images, cells, answer))
        return await answer

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            group = await self._group()
            asked = [each for each in group if not each.answer.done()]  # whoever has gone is not answered
            self._waiting -= sum(len(each.images) for each in group)
            if not asked:
                continue
            images = asked[0].images if len(asked) == 1 else np.concatenate([each.images for each in asked])
            cells = {name: [cell for each in asked for cell in each.cells[name]] for name in asked[0].cells}
            began = loop.time()
            done = loop.run_in_executor(self._thread, self._predict, images, cells)
            await asyncio.wait([done])
            error = done.exception()
            if error is None:
                self._told(len(images), loop.time() - began)
            start = 0
            for each in asked:
                if each.answer.done():
                    pass
                elif error is not None:
                    each.answer.set_exception(error)
                else:
                    own = slice(start, start + len(each.images))
                    each.answer.set_result({target: values[own] for target, values in done.result().items()})
                start += len(each.images)

    async def _group(self) -> list[_Asked]:
        """What is asked first, and what follows within the wait, up to the size of a batch."""
        loop = asyncio.get_running_loop()
        group = [await self._queue.get()]
        until = loop.time() + self._limits.wait
        while sum(len(each.images) for each in group) < self._limits.batch:
            if self._queue.empty() and (left := until - loop.time()) > 0:
                try:
                    group.append(await asyncio.wait_for(self._queue.get(), left))
                except TimeoutError:
                    break
            elif self._queue.empty():
                break
            else:
                group.append(self._queue.get_nowait())
        return group
