"""When a model of one task can answer another."""

from __future__ import annotations

from ctlr.specs._data import CollectionSpec, DataTask, ImagesSpec

__all__ = ["shares_task"]


def shares_task(source: DataTask | None, target: DataTask) -> bool:
    """Whether a model of the source predicts the target as it is: another dataset, the same question, like images.

    Classes of a folder of pictures are known only when they are read, so both tasks have to name them.
    """
    if source is None or source.data.name == target.data.name:
        return False
    first, second = source.data.preprocess, target.data.preprocess
    alike = (first.shape, first.channels) == (second.shape, second.channels)
    asked = [(end.task.target, end.task.kind) for end in (source, target)]
    return alike and asked[0] == asked[1] and _classes(source) == _classes(target) != ()


def _classes(end: DataTask) -> frozenset[str] | tuple[()] | None:
    """Names; None where the column decides, and empty where nothing can be said beforehand."""
    if end.task.classes is not None:
        return frozenset(end.task.classes)
    if isinstance(end.data, CollectionSpec):
        return frozenset(end.data.classes or end.data.held())
    return () if isinstance(end.data, ImagesSpec) else None
