"""Write generated points as tables that others read too."""

from __future__ import annotations

import os
from pathlib import Path

from ctlr.data.kinds.points.generating import SIDES, Side, draw
from ctlr.errors import DataError
from ctlr.specs import GeneratedPointsSpec

__all__ = ["write_points"]

_FILES: dict[Side, str] = {"train": "train.csv", "val": "dev.csv", "test": "eval.csv"}


def write_points(spec: GeneratedPointsSpec, folder: Path) -> dict[Path, Side]:
    """A table a side: x, y and class, a line a point. Numbers have nine digits, and so come back as they were.

    Args:
        spec: Which points.
        folder: Where the tables go; made where it is not there.

    Returns:
        Table -> side.

    Raises:
        DataError: A table is there already, or the folder cannot be written.
    """
    written = {folder / _FILES[side]: side for side in SIDES}
    if there := next((file for file in written if file.exists()), None):
        raise DataError(f"{there} exists already and is left as it is. Name another folder.")
    classes = spec.classes
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for (file, side), count in zip(written.items(), spec.points, strict=True):
            points, codes = draw(spec.generator, side, count, spec.seed, spec.parameters)
            rows = [
                f"{x:.9g},{y:.9g},{classes[code]}\n"
                for (x, y), code in zip(points.tolist(), codes.tolist(), strict=True)
            ]
            partial = file.with_suffix(".partial")
            partial.write_text("x,y,class\n" + "".join(rows))
            os.replace(partial, file)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror}. Name another folder.") from error
    return written
