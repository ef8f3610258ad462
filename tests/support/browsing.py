"""What tests of the app ask it with: pictures, archives, forms."""

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

__all__ = ["form_of", "picture", "pictures", "write_pictures", "zipped"]


def form_of(browser: Any, page: str = "/new") -> str:
    """What the forms of a page hold."""
    found = re.search(r'name="form" value="([^"]+)"', browser.get(page).text)
    assert found is not None
    return found[1]


def picture(seed: int = 0, side: int = 24) -> bytes:
    """A PNG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def zipped(files: Mapping[str, bytes], **more: Any) -> bytes:
    """A zip archive of files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", **more) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def pictures(count: int = 12, classes: tuple[str, ...] = ("cat", "dog")) -> dict[str, bytes]:
    """Pictures of some classes, by path."""
    return {
        f"{label}/{number}.png": picture(100 * place + number)
        for place, label in enumerate(classes)
        for number in range(count)
    }


def write_pictures(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write them below a folder."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
