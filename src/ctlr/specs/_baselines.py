"""When a model of one task can answer another."""

from __future__ import annotations

from ctlr.specs._data import DataTask

__all__ = ["shares_task"]


def shares_task(source: DataTask | None, target: DataTask) -> bool:
    """Whether a model of the source predicts the target as it is: another dataset, the same question, like images.

    Classes of a folder of pictures are known only when they are read, so both tasks have to name them.
    """
    if source is None or source.data.name == target.data.name:
        return False
    alike = source.data.stored_shape == target.data.stored_shape
    asked = [(end.task.target, end.task.kind) for end in (source, target)]
    return alike and asked[0] == asked[1] and _classes(source) == _classes(target) != frozenset()


def _classes(end: DataTask) -> frozenset[str] | None:
    """Names that the task keeps, or else as `DatasetSpec.known_classes` has them."""
    return end.data.known_classes if end.task.classes is None else frozenset(end.task.classes)
