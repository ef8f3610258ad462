"""Letters drawn from fonts: in the size and place of MNIST's digits, by Pillow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ctlr.data.listing import FolderReader, IndexedImage, Listing
from ctlr.data.reader import Images, Progress
from ctlr.errors import DataError
from ctlr.specs import FontsSpec, PreprocessSpec
from ctlr.workspace import Workspace

if TYPE_CHECKING:
    from PIL import Image, ImageFont

__all__ = ["FontsReader", "drawn"]

_ENDINGS = (".ttf", ".otf", ".pfb")
_DRAWN_AT, _BOX, _SIDE = 40, 20, 28
"""Pixels: size of the font, longer side of the letter, side of the picture (as MNIST has it: LeCun et al. 1998)."""
_NOBODYS = "\U0010fffe"
"""Stands for no letter: a font draws its box for what it lacks."""
_HOLES = dict(zip("LTCVlODPoB8", (0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2), strict=True))
"""Holes that letters have."""
_MOST_HOLES = 8  # of these, that letters have right and symbols do not


class FontsReader:
    """Draws the letters of a folder's fonts."""

    def __init__(self, spec: FontsSpec, listing: Listing | None = None) -> None:
        self.spec = spec
        self._listing = listing

    def listing(self) -> Listing:
        """Every letter of every font that has it, once; fonts of symbols, and what they lack, are left out."""
        if self._listing is None:
            root, files = self.files()
            folder = FolderReader(root)
            seen: dict[bytes, str] = {}
            styles: set[tuple[str, str]] = set()
            images: list[IndexedImage] = []
            for file in files:
                try:
                    font = _font(root / file)
                except OSError as error:
                    folder.fault(file, f"a font is needed; FreeType cannot read it ({error}). Copy it again.")
                    continue
                family, style = (name or "unnamed" for name in font.getname())
                if reason := _unusable(font):
                    folder.leave_out(file, reason)
                elif (family, style) in styles:
                    folder.leave_out(file, "this family and style came before, from another file.")
                else:
                    styles.add((family, style))
                    images += self._letters(font, file, family, style, folder, seen)
            if not images and not folder.faults:
                raise DataError(
                    f"fonts ({', '.join(_ENDINGS)}) with Latin letters are needed, and none is there. Correct `root`.",
                    place=repr(root.name),
                )
            self._listing = Listing(
                root=root, images=tuple(images), faults=tuple(folder.faults), left_out=tuple(folder.left_out)
            )
        return self._listing

    def files(self) -> tuple[Path, list[str]]:
        """The fonts.

        Raises:
            DataError: The folder cannot be used.
        """
        root = Path(self.spec.root)
        return root, sorted(_below(FolderReader(root), ""))

    def content(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """The options and the files."""
        return self.spec.model_dump_json(exclude={"name", "root"}), json.dumps(sorted(digests.items()))

    def open(self, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None) -> Images:
        """Letters are drawn one by one."""
        from ctlr.data.picture import picture_digest
        from ctlr.data.rows import Row, fitted_row

        listing, options = self.listing(), self.spec.preprocess
        assert isinstance(options, PreprocessSpec)

        def row(image: IndexedImage) -> Row:
            file, _, letter = image.file.rpartition("/")
            picture = drawn(_font(listing.root / file), letter)
            return fitted_row(picture, picture_digest(picture), options)

        return Images(listing, row)

    def _letters(
        self, font: ImageFont.FreeTypeFont, file: str, family: str, style: str, folder: FolderReader,
        seen: dict[bytes, str],
    ) -> Iterator[IndexedImage]:  # fmt: skip
        """Letters that the font has, and that no other one has drawn alike."""
        box = _mask(font, _NOBODYS)
        for letter in self.spec.letters:
            place = f"{file}/{letter}"
            if _mask(font, letter) in (box, b""):
                folder.leave_out(place, "the font lacks this letter.")
                continue
            first = seen.setdefault(drawn(font, letter).tobytes(), place)
            if first != place:
                folder.leave_out(place, "another font, or another letter, is drawn alike; the first one is kept.")
                continue
            columns = {"class": letter, "family": family, "style": style}
            yield IndexedImage(subject=family, file=place, columns=columns)


def drawn(font: ImageFont.FreeTypeFont, letter: str) -> Image.Image:
    """A letter, bright on dark: its longer side 20 pixels, in the middle of 28 x 28."""
    from PIL import Image

    mask = font.getmask(letter)
    ink = Image.frombytes("L", mask.size, bytes(mask))
    ink = ink.crop(ink.getbbox())
    scale = _BOX / max(ink.size)
    size = (max(1, round(ink.width * scale)), max(1, round(ink.height * scale)))
    picture = Image.new("L", (_SIDE, _SIDE))
    picture.paste(ink.resize(size, Image.Resampling.BOX), ((_SIDE - size[0]) // 2, (_SIDE - size[1]) // 2))
    return picture


@lru_cache(maxsize=32)
def _font(path: Path) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(path, _DRAWN_AT, layout_engine=ImageFont.Layout.BASIC)


def _below(folder: FolderReader, place: str) -> Iterator[str]:
    for entry in folder.entries(place, lambda name: not name.startswith(".")):
        path = f"{place}/{entry.name}" if place else entry.name
        if entry.is_dir():
            yield from _below(folder, path)
        elif entry.name.lower().endswith(_ENDINGS):
            yield path


def _mask(font: ImageFont.FreeTypeFont, letter: str) -> bytes:
    """What a font draws, with its size; nothing where no pixel is set."""
    mask = font.getmask(letter)
    values = bytes(mask)
    return b"%d " % mask.size[0] + values if any(values) else b""


def _unusable(font: ImageFont.FreeTypeFont) -> str:
    """Why a font draws no letters; empty where it does."""
    box = _mask(font, _NOBODYS)
    masks = [_mask(font, letter) for letter in _HOLES]
    if len(set(masks)) < len(masks) - 2 or sum(mask in (box, b"") for mask in masks) > 2:
        return "the font lacks Latin letters, or draws boxes for them."
    right = sum(_holes(font, letter) == holes for letter, holes in _HOLES.items())
    return "" if right >= _MOST_HOLES else "the font draws symbols or ornaments where letters are expected."


def _holes(font: ImageFont.FreeTypeFont, letter: str) -> int:
    """Holes of a letter: dark regions less the one outside."""
    mask = font.getmask(letter)
    (width, height), values = mask.size, bytes(mask)
    dark = {(x, y) for y in range(-1, height + 1) for x in range(-1, width + 1)
            if not (0 <= x < width and 0 <= y < height and values[y * width + x] > 127)}  # fmt: skip
    regions = 0
    while dark:
        regions += 1
        edge = [dark.pop()]
        while edge:
            x, y = edge.pop()
            for near in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if near in dark:
                    dark.remove(near)
                    edge.append(near)
    return regions - 1
