"""Turn a dataset's images into one array: index, identity, then every image on its own.

A volume comes to RAS, isotropic voxels and a fixed shape around the centre of its field of view; a picture is cut and
resized. Each is normalised by itself. Nothing but numbers and the table's cells reaches the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from ctlr.data import bids, imagefolder
from ctlr.data.collection import Collection, files_of, read_collection
from ctlr.data.coverage import picture_coverage, volume_coverage
from ctlr.data.identity import (
    cohort_identity,
    cohort_of,
    collection_identity,
    files_of_listing,
    listing_identity,
)
from ctlr.data.likeness import SIDES, likeness
from ctlr.data.listing import IndexedImage, Listing
from ctlr.data.nifti import Volume, read_volume
from ctlr.data.normalise import decoding, encode, foreground, normalise
from ctlr.data.picture import fitted, read_picture
from ctlr.data.resample import Grid, centred_grid, resample
from ctlr.data.sources import file_digests
from ctlr.data.store import LIKENESS, ArrayWriter, ImageRecord, write_table
from ctlr.errors import ConfigError, DataError
from ctlr.specs import (
    AnyDataset,
    BidsSpec,
    CohortSpec,
    CollectionSpec,
    Coverage,
    PreprocessSpec,
    StoredArrays,
)
from ctlr.workspace import Workspace

__all__ = ["Row", "picture_row", "preprocess", "preprocess_some", "volume_row"]

_SHOWN = 10

Progress = Callable[[int, int], None]


class Row(NamedTuple):
    """One image, preprocessed."""

    values: NDArray[Any]
    """(C, *shape) as it is stored."""
    digest: str
    """Of its content."""
    coverage: Coverage


def preprocess(
    dataset: AnyDataset, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None
) -> StoredArrays:
    """Store a dataset's images as one array, or return what is stored already.

    The identity is the content of the files, the cells of the tables and the options: neither where the dataset lies
    nor when it was written. A cohort is its spec; it is grown only when it is needed,
    and a published set is read only then.

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
    if isinstance(dataset, CohortSpec):
        identity = cohort_identity(dataset)
    elif isinstance(dataset, CollectionSpec):
        root, files = files_of(dataset)
        digests = file_digests(root, files, workspace, workers=workers) if files else {}
        identity = collection_identity(dataset, digests)
    else:
        listing = bids.index(dataset) if isinstance(dataset, BidsSpec) else imagefolder.index(dataset)
        digests = file_digests(listing.root, files_of_listing(listing), workspace, workers=workers)
        identity = listing_identity(dataset, listing, digests)
    if not workspace.has("arrays", identity):
        collection = None
        if isinstance(dataset, CohortSpec):
            listing = _grow(cohort_of(dataset), workspace, workers, progress)
        elif isinstance(dataset, CollectionSpec):
            collection = read_collection(dataset)
            listing = collection.listing
        make_row = partial(_make_row(dataset, collection), root=listing.root, options=dataset.preprocess)
        with workspace.publish("arrays", identity) as folder:
            stored = _build(dataset, listing, make_row, folder, identity, workers=workers, progress=progress)
            stored = stored.model_copy(update={"seconds": round(time.perf_counter() - started, 3)})
            (folder / "stored.json").write_text(stored.model_dump_json())
    return StoredArrays.model_validate_json((workspace.folder("arrays", identity) / "stored.json").read_bytes())


def preprocess_some(dataset: AnyDataset, listing: Listing | None, count: int) -> int:
    """Grow and preprocess a few images as `preprocess` does, and keep none.

    Args:
        dataset: A cohort or a folder; a published set is read as a whole, so none of it is.
        listing: Of the folder.
        count: Images at most.

    Returns:
        How many could be used.
    """
    if isinstance(dataset, CollectionSpec):
        return 0
    with tempfile.TemporaryDirectory() as folder:
        if isinstance(dataset, CohortSpec):
            from ctlr.data.cohort import write_cohort

            write_cohort(cohort_of(dataset).model_copy(update={"subjects": count}), Path(folder, "cohort"))
            listing = bids.index(BidsSpec(root=str(Path(folder, "cohort"))))
        assert listing is not None
        done = 0
        for image in listing.images[:: max(1, len(listing.images) // count)][:count]:
            with contextlib.suppress(DataError):
                _make_row(dataset, None)(image, root=listing.root, options=dataset.preprocess)
                done += 1
    return done


def volume_row(image: IndexedImage, root: Path, options: PreprocessSpec) -> Row:
    """Preprocess one volume.

    Raises:
        DataError: It cannot be used. The caller names the file.
    """
    volume = read_volume(root / image.file)
    grid = centred_grid(Grid(affine=volume.affine, shape=volume.voxels.shape), options.shape, options.spacing)
    darkest = None if volume.slope > 0 else float(volume.voxels.max())  # goes around the field of view
    values = resample(volume.voxels, volume.affine, grid, fill=darkest)
    values *= np.float32(volume.slope)
    values += np.float32(volume.inter)
    if values.min() == values.max():
        raise DataError(f"the image is empty: around its centre every voxel is {values[0, 0, 0]:g}. Export it again.")
    mask = None if image.mask is None else _read_mask(root / image.mask, image.mask)
    reference = foreground(values) if mask is None else values[_brain(mask, str(image.mask), grid)]
    stored = encode(normalise(values, options.normalise, reference), options)[None]
    return Row(stored, volume.digest(), volume_coverage(volume, mask, grid))


def picture_row(image: IndexedImage, root: Path, options: PreprocessSpec) -> Row:
    """Preprocess one picture.

    Raises:
        DataError: It cannot be used. The caller names the file.
    """
    values, digest, size = read_picture(root / image.file, shape=options.shape, channels=options.channels)
    stored = encode(normalise(values, options.normalise, values), options)
    return Row(stored, digest, picture_coverage(size, options.shape))


def _collected_row(image: IndexedImage, root: Path, options: PreprocessSpec, collection: Collection) -> Row:
    """Preprocess one picture of a published set, as `picture_row` does; it lies in no file below a root."""
    picture = Image.fromarray(collection.pixels[image.file])
    values = fitted(picture, shape=options.shape, channels=options.channels)
    stored = encode(normalise(values, options.normalise, values), options)
    return Row(stored, collection.digests[image.file], picture_coverage(picture.size, options.shape))


def _make_row(dataset: AnyDataset, collection: Collection | None) -> Callable[..., Row]:
    if collection is not None:
        return partial(_collected_row, collection=collection)
    return picture_row if dataset.ndim == 2 else volume_row


def _read_mask(path: Path, name: str) -> Volume:
    try:
        return read_volume(path)
    except DataError as error:
        raise DataError(f"its mask {name}: {error}") from error


def _brain(mask: Volume, name: str, grid: Grid) -> NDArray[np.bool_]:
    """Where the mask, brought to the grid by its own affine, is on: somewhere at least."""
    on = (mask.voxels * mask.slope + mask.inter > 0.5).astype(np.uint8, order="F")
    brain = resample(on, mask.affine, grid, fill=0) > 0.5
    if not brain.any():
        raise DataError(f"the mask {name} must mark the brain; nothing of it lies in the image. Correct the mask.")
    return brain


def _check_shape(dataset: AnyDataset) -> None:
    if len(dataset.preprocess.shape) != dataset.ndim:
        raise ConfigError(
            f"datasets.{dataset.name}.preprocess.shape needs {dataset.ndim} numbers for {dataset.kind}; "
            f"got {list(dataset.preprocess.shape)}."
        )


def _grow(cohort: CohortSpec, workspace: Workspace, workers: int, progress: Progress | None) -> Listing:
    """The cohort's BIDS folder in the workspace, written when it is not there."""
    identity = cohort.identity()
    if not workspace.has("cohorts", identity):
        from ctlr.data.cohort import write_cohort  # loads the template; no other dataset needs it

        with workspace.publish("cohorts", identity) as folder:
            write_cohort(cohort, folder, workers=workers, progress=progress)
    return bids.index(BidsSpec(root=str(workspace.folder("cohorts", identity))))


def _build(
    dataset: AnyDataset,
    listing: Listing,
    work: Callable[[IndexedImage], Row],
    folder: Path,
    identity: str,
    *,
    workers: int,
    progress: Progress | None,
) -> StoredArrays:
    """Fill the folder with the images, what is read of each to find copies, and the table."""
    options = dataset.preprocess
    shape = (options.channels if dataset.ndim == 2 else 1, *options.shape)
    records: list[ImageRecord] = []
    coverages: list[Coverage] = []
    masked = 0
    faults = list(listing.faults)
    # Threads are enough: inflating, matrix products and hashing release the interpreter. BLAS keeps to one thread each.
    with (
        threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(max_workers=workers) as pool,
        ArrayWriter(folder, shape, options.dtype) as writer,
        ArrayWriter(folder, (SIDES[dataset.ndim] ** dataset.ndim,), "float16", LIKENESS) as likenesses,
    ):
        examine = partial(_examined, work)
        for done, (image, outcome) in enumerate(_in_order(pool, examine, listing.images, 2 * workers), start=1):
            try:
                found = outcome.result()
            except DataError as error:
                faults.append(f"{image.file}: {error}")
            else:
                writer.append(found.row.values)
                likenesses.append(found.likeness)
                records.append(found.record)
                coverages.append(found.row.coverage)
                masked += image.mask is not None
            if progress is not None:
                progress(done, len(listing.images))
    _report(faults, len(records), options)
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
        excluded=(*listing.repeats, *faults),
        masked=masked,
        coverage=Coverage.worst(coverages),
        units=listing.units,
    )


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
    return _Examined(row, likeness(row.values).reshape(-1).astype(np.float16), record)


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


def _report(faults: list[str], usable: int, options: PreprocessSpec) -> None:
    """Stop when the config says so, or when nothing is left."""
    if not faults or (options.on_bad_subject == "exclude" and usable):
        return
    shown = "".join(f"\n  {fault}" for fault in faults[:_SHOWN])
    more = f"\n  and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    remedy = "Repair them, or set `on_bad_subject: exclude`." if usable else "No image is left: repair them."
    raise DataError(f"{len(faults)} subjects or images cannot be used:{shown}{more}\n{remedy}")
