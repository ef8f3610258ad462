"""Room that a run takes, on disk and in memory, and what this machine has of it.

Stored images are counted. Weights are told by what encoders say of their extent, and what a step holds in memory is
estimated from them, from what an image leaves in its network, and from the rows that training keeps at hand.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctlr.cost import Size, n_test
from ctlr.data.likeness import SIDES
from ctlr.data.store import IN_MEMORY_BYTES
from ctlr.plan import Plan
from ctlr.specs import DatasetSpec, EncoderSpec, Study

__all__ = ["Free", "Room", "free_here", "free_memory", "in_words", "room_of", "stored_bytes"]

RECORD_BYTES = 300
"""Of an image's line in the table beside it: ids, file and digests of usual length."""
COMMON_BYTES = 500 * 2**20
"""Of the command and of what its workers share."""
WORKER_BYTES = 75 * 2**20
"""Of a worker by itself, before it trains."""
WEIGHTS_HELD = 14
"""Times its weights that a network takes while it is trained: gradients, moments, the best ones so far, and what the
convolutions keep reordered. These three were fitted to what `bench/memory.py` measures."""
_SIDE = 32
"""Of the image by which a network is measured; larger ones leave as much more in it as they have more voxels."""


@dataclass(frozen=True, kw_only=True)
class Free:
    """What this machine has, in bytes."""

    disk: int
    """Free where the workspace lies."""
    memory: int
    """Free for this process, caches that can be dropped counted."""
    memory_limit: int
    """Of the machine, or of the control group (container, batch job) where that is less."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a run takes, in bytes."""

    images: Mapping[str, int]
    """On disk, by dataset: arrays that the workspace does not hold yet."""
    models: int
    """On disk: weights of every pretraining and study."""
    worker: int
    """Of memory, for the largest step of one worker."""
    least: int
    """Likewise what it cannot do without: weights, gradients and one moment, and the images of a batch."""
    encoder: str
    """Label of the encoder that has it; empty where no network is trained."""
    uncounted: tuple[str, ...] = ()
    """Labels of encoders of which nobody knows how large they are."""

    @property
    def disk(self) -> int:
        """All of it."""
        return sum(self.images.values()) + self.models

    def memory(self, workers: int) -> int:
        """With so many workers."""
        return COMMON_BYTES + workers * self.worker


def room_of(plan: Plan, sizes: Mapping[str, Size], stored: frozenset[str]) -> Room:
    """Count and estimate what a run of a plan takes.

    Args:
        plan: What is to be done.
        sizes: By dataset, as far as known; others are left out of the account.
        stored: Datasets whose images the workspace holds.
    """
    images = {
        data.name: stored_bytes(data, sizes[data.name].images)
        for data in plan.datasets
        if data.name in sizes and data.name not in stored
    }
    networks = [study for study in plan.trained if study.method.trains_network]
    kept = [(study.encoder, study.target.data) for study in networks]
    kept += [(spec.encoder, spec.target.data) for spec in plan.pretrainings]
    worker, least, largest = WORKER_BYTES, 0, ""
    for study in networks:
        weights, left = _bytes(study.encoder, study.target.data)
        taken = WORKER_BYTES + WEIGHTS_HELD * weights + max(_held(study, left, sizes))
        needed = 3 * weights + study.method.finetune.batch_size * _row_bytes(study.target.data)
        if taken > worker:
            worker, largest = taken, study.encoder.label
        least = max(least, needed)
    return Room(
        images=images, models=sum(_bytes(*each)[0] for each in kept), worker=worker, least=least, encoder=largest,
        uncounted=tuple(dict.fromkeys(spec.label for spec, data in kept if spec.extent(data.ndim) is None)),
    )  # fmt: skip


def _bytes(encoder: EncoderSpec, data: DatasetSpec) -> tuple[int, int]:
    """Of an encoder's weights, and of what one image leaves in it; none where its part does not say."""
    found = encoder.extent(data.ndim)
    return (
        (0, 0)
        if found is None
        else (round(4 * found.weights), round(4 * found.left * math.prod(data.stored_shape[1:])))
    )


def _row_bytes(data: DatasetSpec) -> int:
    """Of an image as it is trained on."""
    return 4 * math.prod(data.stored_shape)


def in_words(size: float) -> str:
    """Bytes for a reader: `12 MiB`, `1.4 GiB`."""
    for unit, power in (("TiB", 40), ("GiB", 30), ("MiB", 20)):
        if size >= 2**power:
            return f"{size / 2**power:.3g} {unit}" if size < 1000 * 2**power else f"{size / 2**power:.0f} {unit}"
    return f"{math.ceil(size / 2**10)} KiB"


def stored_bytes(data: DatasetSpec, images: int) -> int:
    """Of the arrays of a dataset: images, what is compared to find copies, and the table."""
    likeness = 2 * SIDES[data.ndim] ** data.ndim if data.ndim in SIDES else 0
    row = np.dtype(data.preprocess.dtype).itemsize * math.prod(data.stored_shape)
    return images * (row + likeness + RECORD_BYTES)


def _held(study: Study, left: int, sizes: Mapping[str, Size]) -> Iterator[int]:
    """Bytes of images, and of what a batch leaves in the network, of each stage."""
    row = _row_bytes(study.target.data)
    batch = study.method.finetune.batch_size
    yield min(IN_MEMORY_BYTES, row * (study.n_train + study.n_validation)) + batch * (row + left)
    fit = getattr(study.method, "pretrain", None)
    if study.method.pretraining is not None and fit is not None:
        ends = {end.data.name for end in (study.source, study.target) if end is not None}
        known = [sizes[name] for name in ends if name in sizes]
        rows = sum(size.images for size in known) - (n_test(study.split, known[0].subjects) if known else 0)
        views = 2 if study.method.needs_views else 1
        yield min(IN_MEMORY_BYTES, row * max(rows, 0)) + views * fit.batch_size * (row + left)


def free_here(workspace: Path, root: Path = Path("/")) -> Free:
    """What there is for a run whose workspace is a folder that need not exist yet.

    Args:
        workspace: The folder.
        root: Where `proc` and `sys` lie.
    """
    place = workspace.absolute()
    while not place.exists():
        place = place.parent
    memory, limit = free_memory(root)
    return Free(disk=shutil.disk_usage(place).free, memory=memory, memory_limit=limit)


def free_memory(root: Path = Path("/")) -> tuple[int, int]:
    """Bytes of memory that are free for this process, and that it can have at most.

    The limits of control groups count (version 1 and 2), those of every group above included. Where no /proc tells what
    is free, all of the machine's memory is taken to be.
    """
    told = _numbers(root / "proc/meminfo")
    total = 1024 * told.get("MemTotal:", 0) or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = 1024 * told.get("MemAvailable:", total // 1024)
    limit = total
    for folder, most, used, cache in _groups(root):
        try:
            bound = int((folder / most).read_text())  # a group without one says `max`, or more than there is
        except (OSError, ValueError):
            continue
        if 0 < bound < total:
            limit = min(limit, bound)
            taken = _numbers(folder / used).get("", 0) - _numbers(folder / "memory.stat").get(cache, 0)
            free = min(free, max(0, bound - max(0, taken)))
    return free, limit


def _groups(root: Path) -> Iterator[tuple[Path, str, str, str]]:
    """Folders of the control groups that bound this process: names of the limit, of what is used, of dropped caches."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = Path(path.strip("/"))
        for each in (group, *group.parents):
            yield (top / each, *names)


def _numbers(file: Path) -> dict[str, int]:
    """Name -> number, of a file of lines `name number`; a lone number has no name. Nothing where it is not there."""
    try:
        lines = [line.split() for line in file.read_text().splitlines()]
    except OSError:
        return {}
    pairs = ((["", *line] if len(line) == 1 else line)[:2] for line in lines if line)
    return {name: int(number) for name, number in pairs if number.isdecimal()}
