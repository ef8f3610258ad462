"""The gate before anything trains: nothing that is tested on may have been learned from."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from ctlr.data.store import ImageRecord
from ctlr.data.strata import is_missing
from ctlr.errors import LeakageError

__all__ = ["check_leakage"]

Placed = tuple[str, ImageRecord]
"""An image and the name of its dataset."""


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """Images that share this must share their side too."""

    what: Callable[[str, ImageRecord], Hashable | None]
    """What is shared; None for nothing that could be."""
    says: Callable[[str, ImageRecord], str]
    remedy: str


def check_leakage(sides: Mapping[str, Sequence[Placed]], group: str | None = None) -> None:
    """Stop when two sides share a subject, an image's content, or a group.

    Content counts across datasets. Subjects and groups count within one: `sub-01` of two datasets are two people, until
    one of their images is the same. Within a side anything may occur twice. O(N) for N images.

    Args:
        sides: (dataset, image) pairs by the name of their side, e.g. `test`; the pretraining pool is on the side of
            training.
        group: Column whose values must stay on one side; images without a value, and datasets without the column, are
            free of it.

    Raises:
        LeakageError: Names the first two files, their sides, how many images are concerned, and the remedy.
    """
    rules = [_SUBJECT, _CONTENT, *([_group_rule(group)] if group is not None else [])]
    for rule in rules:
        _check_rule(sides, rule)


def _check_rule(sides: Mapping[str, Sequence[Placed]], rule: _Rule) -> None:
    first_met: dict[Hashable, tuple[str, Placed]] = {}
    message, concerned = "", 0
    for side, images in sides.items():
        for dataset, image in images:
            shared = rule.what(dataset, image)
            if shared is None:
                continue
            other_side, other = first_met.setdefault(shared, (side, (dataset, image)))
            if other_side == side:
                continue
            concerned += 1
            message = message or (
                f"{rule.says(dataset, image)} stands on two sides: {_file(other)} "
                f"({other_side}) and {_file((dataset, image))} ({side})"
            )
    if concerned:
        more = f"; {concerned - 1} more images likewise" if concerned > 1 else ""
        raise LeakageError(f"{message}{more}. {rule.remedy}")


def _file(placed: Placed) -> str:
    dataset, image = placed
    return f"{dataset}: {image.file}"


_SUBJECT = _Rule(
    what=lambda dataset, image: (dataset, image.subject),
    says=lambda dataset, image: f"Subject {image.subject!r} of dataset {dataset!r}",
    remedy="Keep all images of a subject on one side.",
)
_CONTENT = _Rule(
    what=lambda _, image: image.sha256,
    says=lambda _, image: f"The same image (sha256 {image.sha256[:12]})",
    remedy="Remove one of the copies, or give both the same subject id.",
)


def _group_rule(column: str) -> _Rule:
    def cell(image: ImageRecord) -> str:
        return image.columns.get(column, "").strip()

    return _Rule(
        what=lambda dataset, image: None if is_missing(cell(image)) else (dataset, cell(image)),
        says=lambda dataset, image: f"Group {cell(image)!r} of column {column!r} in dataset {dataset!r}",
        remedy="Keep each group on one side, or leave out `split.group`.",
    )
