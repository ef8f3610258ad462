"""Turn a dataset's images into one array: index, identity, then every image on its own.

A volume comes to RAS, isotropic voxels and a fixed shape around the centre of its field of view; a picture is cut and
resized. Each is normalised by itself. Nothing but numbers and the table's cells reaches the store.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from threadpoolctl import threadpool_limits

from ctlr.data import bids, imagefolder
from ctlr.data.collection import Collection, files_of, read_collection
from ctlr.data.likeness import SIDES, likeness
from ctlr.data.listing import IndexedImage, Listing
from ctlr.data.nifti import read_volume
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
    Exclusion,
    PreprocessSpec,
    StoredArrays,
    fingerprint,
)
from ctlr.workspace import Workspace

__all__ = ["picture_row", "preprocess", "volume_row"]

_RULES = "2"
"""Version of what this module does to an image; another one gives other identities."""
_SHOWN = 10

Progress = Callable[[int, int], None]


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
        cohort = dataset.model_copy(update={"name": "", "preprocess": PreprocessSpec()})
        identity = fingerprint(_RULES, cohort.identity(), dataset.preprocess.identity())
    elif isinstance(dataset, CollectionSpec):
        identity = _collection_identity(dataset, workspace, workers)
    else:
        listing = bids.index(dataset) if isinstance(dataset, BidsSpec) else imagefolder.index(dataset)
        identity = _identity(dataset, listing, workspace, workers)
    if not workspace.has("arrays", identity):
        collection = None
        if isinstance(dataset, CohortSpec):
            listing = _grow(cohort, workspace, workers, progress)
        elif isinstance(dataset, CollectionSpec):
            collection = read_collection(dataset)
            listing = collection.listing
        make_row = partial(_make_row(dataset, collection), root=listing.root, options=dataset.preprocess)
        with workspace.publish("arrays", identity) as folder:
            stored = _build(dataset, listing, make_row, folder, identity, workers=workers, progress=progress)
            stored = stored.model_copy(update={"seconds": round(time.perf_counter() - started, 3)})
            (folder / "stored.json").write_text(stored.model_dump_json())
    return StoredArrays.model_validate_json((workspace.folder("arrays", identity) / "stored.json").read_bytes())


def volume_row(image: IndexedImage, root: Path, options: PreprocessSpec) -> tuple[NDArray[Any], str]:
    """Preprocess one volume.

    Returns:
        (1, *shape) as it is stored, and the digest of its content.

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
    reference = foreground(values) if image.mask is None else values[_brain(root / image.mask, image.mask, grid)]
    return encode(normalise(values, options.normalise, reference), options)[None], volume.digest()


def picture_row(image: IndexedImage, root: Path, options: PreprocessSpec) -> tuple[NDArray[Any], str]:
    """Preprocess one picture.

    Returns:
        (C, height, width) as it is stored, and the digest of its content.

    Raises:
        DataError: It cannot be used. The caller names the file.
    """
    values, digest = read_picture(root / image.file, shape=options.shape, channels=options.channels)
    return encode(normalise(values, options.normalise, values), options), digest


def _collected_row(
    image: IndexedImage, root: Path, options: PreprocessSpec, collection: Collection
) -> tuple[NDArray[Any], str]:
    """Preprocess one picture of a published set, as `picture_row` does; it lies in no file below a root."""
    values = fitted(Image.fromarray(collection.pixels[image.file]), shape=options.shape, channels=options.channels)
    return encode(normalise(values, options.normalise, values), options), collection.digests[image.file]


def _make_row(dataset: AnyDataset, collection: Collection | None) -> Callable[..., tuple[NDArray[Any], str]]:
    if collection is not None:
        return partial(_collected_row, collection=collection)
    return picture_row if dataset.ndim == 2 else volume_row


def _brain(path: Path, name: str, grid: Grid) -> NDArray[np.bool_]:
    """Where the mask, brought to the grid by its own affine, is on: somewhere at least."""
    try:
        mask = read_volume(path)
    except DataError as error:
        raise DataError(f"its mask: {error.reason}", place=name) from error
    on = (mask.voxels * mask.slope + mask.inter > 0.5).astype(np.uint8, order="F")
    brain = resample(on, mask.affine, grid, fill=0) > 0.5
    if not brain.any():
        raise DataError("the mask must mark the brain; nothing of it lies in the image. Correct the mask.", place=name)
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


def _identity(dataset: AnyDataset, listing: Listing, workspace: Workspace, workers: int) -> str:
    files = [file for image in listing.images for file in (image.file, image.mask) if file]
    digests = file_digests(listing.root, files, workspace, workers=workers)
    images = [
        [image.subject, image.session, image.file, digests[image.file], digests.get(image.mask or "", ""),
         sorted(image.columns.items())]
        for image in listing.images
    ]  # fmt: skip
    options = dataset.model_dump_json(exclude={"name", "root"})
    return fingerprint(_RULES, options, json.dumps(images), json.dumps([str(fault) for fault in listing.faults]))


def _collection_identity(dataset: CollectionSpec, workspace: Workspace, workers: int) -> str:
    root, files = files_of(dataset)
    digests = file_digests(root, files, workspace, workers=workers) if files else {}
    options = dataset.model_dump_json(exclude={"name", "root"})
    return fingerprint(_RULES, options, json.dumps(sorted(digests.items())))


def _build(
    dataset: AnyDataset,
    listing: Listing,
    work: Callable[[IndexedImage], tuple[NDArray[Any], str]],
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
                place = f"{image.file} ({error.place})" if error.place else image.file
                faults.append(Exclusion(place=place, reason=error.reason))
            else:
                writer.append(found.row)
                likenesses.append(found.likeness)
                records.append(found.record)
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
    )


@dataclass(frozen=True)
class _Examined:
    """An image as it is stored, what is read of it to find copies, and its line of the table."""

    row: NDArray[Any]
    likeness: NDArray[np.float16]
    record: ImageRecord


def _examined(work: Callable[[IndexedImage], tuple[NDArray[Any], str]], image: IndexedImage) -> _Examined:
    row, digest = work(image)
    stored = hashlib.sha256(np.ascontiguousarray(row).data).hexdigest()
    record = ImageRecord(
        subject=image.subject, session=image.session, file=image.file, sha256=digest, stored=stored,
        columns=image.columns,
    )  # fmt: skip
    return _Examined(row, likeness(row).reshape(-1).astype(np.float16), record)


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


def _report(faults: list[Exclusion], usable: int, options: PreprocessSpec) -> None:
    """Stop when the config says so, or when nothing is left."""
    if not faults or (options.on_bad_subject == "exclude" and usable):
        return
    shown = "".join(f"\n  {fault}" for fault in faults[:_SHOWN])
    more = f"\n  and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    remedy = "Repair them, or set `on_bad_subject: exclude`." if usable else "No image is left: repair them."
    reasons = "".join(f"\n  {count} x {reason}" for reason, count in Counter(f.reason for f in faults).most_common())
    what = f"{len(faults)} subjects or images cannot be used"
    raise DataError(f"{what}:{reasons}\n{remedy}", told=f"{what}:{shown}{more}\n{remedy}")
