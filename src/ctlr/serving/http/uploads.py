"""Files that a client sends, prepared as the model's were."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ctlr.data.kinds.image_names import ENDINGS
from ctlr.data.preparation import prepare_files
from ctlr.errors import DataError
from ctlr.serving._files import FilePrediction
from ctlr.specs import Preparation

__all__ = ["Upload", "prepared"]

_ENDINGS = (".nii.gz", ".nii", *sorted(ENDINGS))


@dataclass(frozen=True)
class Upload:
    """A file as it came in.

    Attributes:
        name: The client's, for messages; never a path of ours.
        content: From its beginning.
        mask: Of the brain, with its name.
        cells: Of the columns beside it, as they were sent.
    """

    name: str
    content: BinaryIO
    mask: tuple[str, BinaryIO] | None = None
    cells: dict[str, str] = field(default_factory=dict)


def prepared(uploads: Sequence[Upload], preparation: Preparation) -> list[FilePrediction]:
    """Prepare each; one that does not fit has a reason, as on the command line."""
    with tempfile.TemporaryDirectory(prefix="ctlr-") as folder:
        return [_one(upload, Path(folder) / str(number), preparation) for number, upload in enumerate(uploads)]


def _one(upload: Upload, place: Path, preparation: Preparation) -> FilePrediction:
    place.mkdir()
    told = Path(upload.name)
    file = _kept(upload.name, upload.content, place, "file")
    mask = None if upload.mask is None else _kept(*upload.mask, place, "mask")
    try:
        (image,) = prepare_files([file], preparation, [mask])
    except DataError as error:
        reason = str(error).removeprefix(f"{file}: ").replace(f"{place}/", "")
        return FilePrediction(told, None, None, reason)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return FilePrediction(told, None, image)


def _kept(name: str, content: BinaryIO, place: Path, stem: str) -> Path:
    """On disk under a name of ours, of the client's with its ending alone."""
    ending = next((each for each in _ENDINGS if name.lower().endswith(each)), "")
    file = place / f"{stem}{ending}"
    with file.open("wb") as kept:
        shutil.copyfileobj(content, kept, 2**20)
    return file
