"""What the random views of training make of a few images: drawn once a workspace, with the code that training uses."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ctlr.errors import CtlrError
from ctlr.report.finished import Finished
from ctlr.report.images import Stock, axial, stocks
from ctlr.specs import DatasetSpec, DrawnViews, StudyResult, ViewsSpec, fingerprint
from ctlr.workspace import write_aside

__all__ = ["drawn_views"]

_RULES = "1"
"""Version of what is drawn; another one draws anew."""
_IMAGES, _VIEWS = 2, 4
_MOST = 4
"""Kinds of views of a dataset that are drawn; of more, those that come first in the benchmark."""
_VOXELS = 2**21
"""Of larger volumes every second voxel is taken, or every third."""

Floats = NDArray[np.float32]


def drawn_views(finished: Finished) -> tuple[DrawnViews, ...]:
    """Draw views of two images a dataset and kind of views, or find them drawn.

    Only images that a report may show are: see `ctlr.report.images`. One seed draws them all.

    Raises:
        WorkspaceError: The workspace cannot be written.
    """
    asked = _asked(finished.results)
    found = []
    for name, stock in stocks(finished, {data.name: data for data, _, _ in asked.values()}).items():
        if not (stock.single and stock.data.shown_as):
            continue
        own = [(views, seen) for data, views, seen in asked.values() if data.name == name]
        for place, (views, seen) in enumerate(own[:_MOST], start=1):
            if path := _drawn(stock, views):
                more, who = len(own) - _MOST if place == _MOST else 0, tuple(dict.fromkeys(seen))
                found.append(DrawnViews(data=name, path=path, words=views.words, seen_by=who, more=more))
    return tuple(found)


def _asked(results: Sequence[StudyResult]) -> Mapping[tuple[str, str], tuple[DatasetSpec, ViewsSpec, list[str]]]:
    """(dataset, views) -> both, and who sees them, in the order of the studies."""
    asked: dict[tuple[str, str], tuple[DatasetSpec, ViewsSpec, list[str]]] = {}
    for result in results:
        for data, views, seen in _of(result):
            asked.setdefault((data.name, views.identity()), (data, views, []))[2].append(seen)
    return asked


def _of(result: StudyResult) -> Iterator[tuple[DatasetSpec, ViewsSpec, str]]:
    study = result.study
    for place, views in study.method.views_by_place.items():
        of_source = study.source is not None and place[0] == "pretrain" and study.method.reads_source
        data = study.source.data if of_source and study.source is not None else study.target.data
        when = {"pretrain": "pretraining", "finetune": "finetuning"}.get(place[0], place[0])
        acting = views.at(data.ndim)
        if acting.words != "none":
            yield data, acting, f"‘{study.method.label}’ ({when})"


def _drawn(stock: Stock, views: ViewsSpec) -> str:
    """Where they lie; empty where no image may be shown."""
    identity = fingerprint(_RULES, str(stock.data.faces), stock.arrays.fingerprint, views.identity())
    if not stock.workspace.has("views", identity):
        try:
            made = _made(stock, views)
        except CtlrError:  # a damaged row: the report says what else there is
            return ""
        if made is None:
            return ""
        file = io.BytesIO()
        np.savez_compressed(file, images=made[0], views=made[1])
        with stock.workspace.publish("views", identity) as folder:
            write_aside(folder / "views.npz", file.getvalue())
    return f"views/{identity}"


def _made(stock: Stock, spec: ViewsSpec) -> tuple[NDArray[np.float16], NDArray[np.float16]] | None:
    """(n, C, ...) images and (n, V, C, ...) views of them."""
    import torch  # slow to load, and only where views are not drawn yet

    from ctlr.data.augment import random_views

    shown = [image for row in stock.rows(_IMAGES) if (image := stock.image(int(row))) is not None]
    if not shown:
        return None
    whole = [_coarser(image) if image.ndim == 3 and stock.data.ndim == 3 else image for image in shown]
    levels = [stock.level(image) if stock.data.ndim == 3 else 0 for image in whole]
    batch = torch.from_numpy(np.stack([_filled(image, stock.data.ndim) for image in whole])).repeat_interleave(
        _VIEWS, 0
    )
    made = random_views(batch, spec, torch.Generator().manual_seed(0)).numpy()
    if stock.data.ndim < 3:
        return np.stack(whole).astype(np.float16), made.reshape(len(whole), _VIEWS, *made.shape[1:]).astype(np.float16)
    planes = [axial(view[0], levels[number // _VIEWS]) for number, view in enumerate(made)]
    originals = np.stack([axial(image, level) for image, level in zip(whole, levels, strict=True)])[:, None]
    views = np.stack(planes).reshape(len(whole), _VIEWS, 1, *planes[0].shape)
    return originals.astype(np.float16), views.astype(np.float16)


def _coarser(volume: Floats) -> Floats:
    step = 1
    while volume[::step, ::step, ::step].size > _VOXELS:
        step += 1
    return np.ascontiguousarray(volume[::step, ::step, ::step])


def _filled(image: Floats, ndim: int) -> Floats:
    """(C, *S) with the least value where nothing may be seen."""
    known = np.isfinite(image)
    filled = np.where(known, image, image[known].min() if known.any() else np.float32(0))
    return np.asarray(filled[None] if ndim == 3 else filled, np.float32)
