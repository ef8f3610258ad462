"""Images of chosen rows as tensors: held in memory where they fit, else read ahead from the stored arrays."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ctlr.data.store import IN_MEMORY_BYTES, ArrayStore
from ctlr.methods.base import Batch

__all__ = ["IN_MEMORY_BYTES", "Images", "Labelled", "even_batches"]

_READERS = 4
"""Threads that read batches for a GPU, each one ahead: it takes them faster than one thread decodes float16."""


class Images:
    """Rows of one or several stores, numbered 0..N-1, as float32 batches on a device.

    Args:
        parts: (store, rows of it) in order.
        device: Where batches are wanted.
        in_memory_bytes: Larger ones are read from disk batch by batch; by default `IN_MEMORY_BYTES`.
    """

    def __init__(
        self,
        parts: Sequence[tuple[ArrayStore, npt.NDArray[np.int64]]],
        device: torch.device,
        *,
        in_memory_bytes: int | None = None,
    ) -> None:
        self.device = device
        self._parts = [(store, rows) for store, rows in parts if len(rows)]
        self._starts = np.cumsum([0, *(len(rows) for _, rows in self._parts)])
        self._held: Tensor | None = None
        size = sum(len(rows) * math.prod(store.arrays.shape) * 4 for store, rows in self._parts)
        if in_memory_bytes is None:
            in_memory_bytes = _room(device)
        if size <= in_memory_bytes and self._parts:
            self._held = torch.from_numpy(np.concatenate([store.read(rows) for store, rows in self._parts])).to(device)

    @classmethod
    def of(cls, tensor: Tensor, device: torch.device) -> Images:
        """Images (N, C, *S) that are in memory already."""
        images = cls([], device)
        images._held = tensor.to(device)
        return images

    def __len__(self) -> int:
        return int(self._starts[-1]) if self._held is None else len(self._held)

    def map(self, function: Callable[[Tensor], Tensor], batch_size: int = 32) -> Images:
        """Apply a function to every image once, and hold the results instead (features of frozen blocks)."""
        index = np.arange(len(self))
        chunks = [index[i : i + batch_size] for i in range(0, len(index), batch_size)]
        return Images.of(torch.cat([function(images) for images in self.batches(chunks)]), self.device)

    def batches(self, chunks: Iterable[npt.NDArray[np.int64]]) -> Iterator[Tensor]:
        """Yield (len(chunk), C, *S) for each chunk of row numbers, reading ahead."""
        if self._held is not None:
            for chunk in chunks:
                # copies whole rows; indexing by a tensor takes twice as long on a CPU
                yield self._held.index_select(0, torch.from_numpy(chunk).to(self.device, non_blocking=True))
            return
        depth = 1 if self.device.type == "cpu" else _READERS
        with ThreadPoolExecutor(depth) as readers:
            ahead: deque[Future[Tensor]] = deque()
            for chunk in chunks:
                ahead.append(readers.submit(self._read, chunk))
                if len(ahead) > depth:
                    yield ahead.popleft().result().to(self.device, non_blocking=True)
            while ahead:
                yield ahead.popleft().result().to(self.device, non_blocking=True)

    def _read(self, chunk: npt.NDArray[np.int64]) -> Tensor:
        owner = np.searchsorted(self._starts, chunk, side="right") - 1
        images: npt.NDArray[np.float32] | None = None
        for number, (store, rows) in enumerate(self._parts):
            mine = np.flatnonzero(owner == number)
            if len(mine) == 0:
                continue
            read = store.read(rows[chunk[mine] - self._starts[number]])
            if len(mine) == len(chunk):
                return self._pinned(read)
            if images is None:
                images = np.empty((len(chunk), *read.shape[1:]), np.float32)
            images[mine] = read
        assert images is not None
        return self._pinned(images)

    def _pinned(self, images: npt.NDArray[np.float32]) -> Tensor:
        """Where a GPU can fetch them while it computes."""
        read = torch.from_numpy(images)
        return read if self.device.type == "cpu" else read.pin_memory()


def _room(device: torch.device) -> int:
    return IN_MEMORY_BYTES if device.type == "cpu" else torch.cuda.mem_get_info(device)[0] // 8


@dataclass(frozen=True)
class Labelled:
    """Images with one target each, and what is read beside them.

    Attributes:
        images: N images.
        target: (N,) int64 codes (-1: unknown), or float32 standardised targets (NaN: unknown).
        columns: (N, C) float32, what is read beside the images.
    """

    images: Images
    target: Tensor | None = None
    columns: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def map(self, function: Callable[[Tensor], Tensor]) -> Labelled:
        """The same rows with other images."""
        return replace(self, images=self.images.map(function))

    def epoch(self, steps: int, batch_size: int, rng: torch.Generator) -> Generator[Batch]:
        """Yield `steps` batches of a fresh shuffle, starting over with another one where rows run out."""
        chunks: list[npt.NDArray[np.int64]] = []
        while len(chunks) < steps:
            chunks += even_batches(torch.randperm(len(self), generator=rng).numpy(), batch_size)
        chunks = chunks[:steps]
        for chunk, images in zip(chunks, self.images.batches(chunks), strict=True):
            beside = (self.target, self.columns)
            chosen = [None if values is None else _rows(values, chunk) for values in beside]
            yield Batch(images, *chosen)


def _rows(values: Tensor, chunk: npt.NDArray[np.int64]) -> Tensor:
    return values[torch.from_numpy(chunk).to(values.device, non_blocking=True)]


def even_batches(order: npt.NDArray[np.int64], batch_size: int) -> list[npt.NDArray[np.int64]]:
    """Cut an order into batches of at most `batch_size` rows that differ by one row at most.

    A last batch of one or two rows would give batch-norm nothing to go by.
    """
    return np.array_split(order, max(1, -(-len(order) // batch_size)))
