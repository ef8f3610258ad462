"""Turn a dataset's images into one array: index, identity, then every image on its own.

Nothing but numbers and the table's cells reaches the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ctlr.data.identity import identity_of, read_stored
from ctlr.data.joining import join_copies
from ctlr.data.likeness import SIDES, likeness
from ctlr.data.listing import IndexedImage, Listing, ManyImages
from ctlr.data.normalise import decoding
from ctlr.data.reader import Images, Progress, reader_of
from ctlr.data.rows import Row
from ctlr.data.sources import file_digests
from ctlr.data.store import LIKENESS, ArrayWriter, ImageRecord, block_digests, write_table
from ctlr.data.table import Digests, Table
from ctlr.errors import ConfigError, DataError
from ctlr.specs import Coverage, DatasetSpec, Exclusion, Preprocessing, StoredArrays
from ctlr.workspace import Workspace

__all__ = ["preprocess", "preprocess_some", "refuse_faults"]

_SHOWN = 10


def preprocess(
    dataset: DatasetSpec, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None
) -> StoredArrays:
    """Store a dataset's images as one array, or return what is stored already.

    The identity is the content of the files, the cells of the tables and the options: neither where the dataset lies
    nor when it was written. What has to be made, or read as a whole, is so only where it is not stored.

    Args:
        dataset: Where the images come from and what becomes of them.
        workspace: Where the array goes.
        workers: Images that are worked on at once; the result does not depend on it.
        progress: Called with (images done, images in all); for a new cohort first while it is grown.

    Raises:
        ConfigError: `preprocess.shape` does not fit the kind of images.
        DataError: The dataset, or (with `on_bad_subject: stop`) any image, cannot be used; names every one of the
            first ten with the rule, the value and the remedy.
        WorkspaceError: The workspace cannot be written, e.g. the disk is full.
    """
    started = time.perf_counter()
    _check_shape(dataset)
    reader = reader_of(dataset)
    root, files = reader.files()
    identity = identity_of(reader, file_digests(root, files, workspace, workers=workers) if files else {})
    if not workspace.has("arrays", identity):
        images = reader.open(workspace, workers=workers, progress=progress)
        with workspace.publish("arrays", identity) as folder:
            if images.values is None:
                stored = _build(dataset, images, folder, identity, workers=workers, progress=progress)
            else:
                stored = _build_at_once(dataset, images.listing, images.values, folder, identity)
            if dataset.joins_copies:
                stored = join_copies(stored, folder, workspace)
            stored = stored.model_copy(update={"seconds": round(time.perf_counter() - started, 3)})
            (folder / "stored.json").write_text(stored.model_dump_json())
    return read_stored(identity, workspace)


def preprocess_some(dataset: DatasetSpec, listing: Listing | None, count: int) -> int:
    """Preprocess a few images as `preprocess` does, and keep none.

    Args:
        dataset: Which one; where it can only be read as a whole, none is.
        listing: Of it, where there is one.
        count: Images at most.

    Returns:
        How many could be used.
    """
    part = dataset.to_time(count)
    if part is None:
        return 0
    done = 0
    with tempfile.TemporaryDirectory() as folder:
        images = reader_of(part, listing).open(Workspace(folder))
        found = images.listing.images
        for image in found[:: max(1, len(found) // count)][:count]:
            with contextlib.suppress(DataError):
                images.row(image)
                done += 1
    return done


def _check_shape(dataset: DatasetSpec) -> None:
    sides = dataset.stored_shape[1:]
    if len(sides) != dataset.ndim:
        raise ConfigError(
            f"datasets.{dataset.name}.preprocess.shape needs {dataset.ndim} numbers for {dataset.kind}; "
            f"got {list(sides)}."
        )


def _build(
    dataset: DatasetSpec,
    images: Images,
    folder: Path,
    identity: str,
    *,
    workers: int,
    progress: Progress | None,
) -> StoredArrays:
    """Fill the folder with the images, what is read of each to find copies, and the table."""
    options, listing = dataset.preprocess, images.listing
    shape = dataset.stored_shape
    records: list[ImageRecord] = []
    coverages: list[Coverage] = []
    masked = 0
    faults = list(listing.faults)
    # Threads are enough: inflating, matrix products and hashing release the interpreter. BLAS keeps to one thread each.
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(max_workers=workers) as pool,
        ArrayWriter(folder, shape, options.dtype) as writer,
        _likenesses(folder, dataset.ndim) as likenesses,
    ):
        examine = partial(_examined, images.row)
        for done, (image, outcome) in enumerate(_in_order(pool, examine, listing.images, 2 * workers), start=1):
            try:
                found = outcome.result()
            except DataError as error:
                place = f"{image.file} ({error.place})" if error.place else image.file
                faults.append(Exclusion(place=place, reason=error.reason))
            else:
                writer.append(found.row.values)
                if likenesses is not None:
                    likenesses.append(found.likeness)
                records.append(found.record)
                coverages += [found.row.coverage] if found.row.coverage is not None else []
                masked += image.mask is not None
            if progress is not None:
                progress(done, len(listing.images))
    refuse_faults(faults, len(records), options)
    write_table(folder, records)
    scale, offset = decoding(options)
    return StoredArrays(
        fingerprint=identity,
        path=f"arrays/{identity}",
        rows=len(records),
        subjects=len({record.subject for record in records}),
        shape=shape,
        dtype=options.dtype,
        scale=scale,
        offset=offset,
        excluded=(*listing.left_out, *faults),
        masked=masked,
        coverage=Coverage.worst(coverages),
        units=listing.units,
    )


def _build_at_once(
    dataset: DatasetSpec, listing: Listing, values: NDArray[Any], folder: Path, identity: str
) -> StoredArrays:
    """The same for very many small images, which are in memory."""
    assert isinstance(listing.images, ManyImages)
    refuse_faults(listing.faults, len(values), dataset.preprocess)
    data, size = memoryview(values.tobytes()), values[:1].nbytes
    digests = b"".join(hashlib.sha256(data[start : start + size]).digest() for start in range(0, len(data), size))
    table = Table.listed(listing.images, Digests(np.frombuffer(digests, np.uint8).reshape(-1, 32)))
    table.blocks, table.block_rows = block_digests(values)
    table.write(folder)
    with ArrayWriter(folder, dataset.stored_shape, dataset.preprocess.dtype) as writer:
        writer.extend(values)
    return StoredArrays(
        fingerprint=identity, path=f"arrays/{identity}", rows=len(values), subjects=listing.subjects,
        shape=dataset.stored_shape, dtype=dataset.preprocess.dtype, excluded=(*listing.left_out, *listing.faults),
        units=listing.units,
    )  # fmt: skip


def _likenesses(folder: Path, ndim: int) -> AbstractContextManager[ArrayWriter | None]:
    """Where what is read of each image goes; None for points, of which copies are known by their digests alone."""
    return ArrayWriter(folder, (SIDES[ndim] ** ndim,), "float16", LIKENESS) if ndim else contextlib.nullcontext()


@dataclass(frozen=True)
class _Examined:
    """An image as it is stored, what is read of it to find copies, and its line of the table."""

    row: Row
    likeness: NDArray[np.float16]
    record: ImageRecord


def _examined(work: Callable[[IndexedImage], Row], image: IndexedImage) -> _Examined:
    row = work(image)
    stored = hashlib.sha256(np.ascontiguousarray(row.values).data).hexdigest()
    record = ImageRecord(
        subject=image.subject, session=image.session, file=image.file, sha256=row.digest, stored=stored,
        columns=image.columns,
    )  # fmt: skip
    alike = likeness(row.values).reshape(-1) if row.values.ndim > 1 else np.empty(0)
    return _Examined(row, alike.astype(np.float16), record)


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[IndexedImage], _Examined], images: Iterable[IndexedImage], ahead: int
) -> Iterator[tuple[IndexedImage, Future[_Examined]]]:
    """Images with their outcomes, in order; a few are worked on ahead, so that memory stays bounded."""
    pending: deque[tuple[IndexedImage, Future[_Examined]]] = deque()
    for image in images:
        pending.append((image, pool.submit(work, image)))
        if len(pending) > ahead:
            yield pending.popleft()
    yield from pending


def refuse_faults(faults: Sequence[Exclusion], usable: int, options: Preprocessing) -> None:
    """Stop when the config says so, or when nothing is left.

    Args:
        faults: What is wrong with subjects and images.
        usable: Images that can be used.
        options: Of the dataset.

    Raises:
        DataError: Names the first ten.
    """
    if not faults or (options.on_bad_subject == "exclude" and usable):
        return
    shown = "".join(f"\n  {fault}" for fault in faults[:_SHOWN])
    more = f"\n  and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    remedy = "Repair them, or set `on_bad_subject: exclude`." if usable else "No image is left: repair them."
    reasons = "".join(f"\n  {count} x {reason}" for reason, count in Counter(f.reason for f in faults).most_common())
    what = f"{len(faults)} subjects or images cannot be used"
    raise DataError(f"{what}:{reasons}\n{remedy}", told=f"{what}:{shown}{more}\n{remedy}")
