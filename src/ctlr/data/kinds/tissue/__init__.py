"""Synthetic tissue: patches drawn when they are read, from seed and number alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from ctlr.data.listing import IndexedImage, Listing
from ctlr.data.reader import Images, Progress
from ctlr.specs import ARCHITECTURES, PreprocessSpec, TissueSpec
from ctlr.workspace import Workspace

__all__ = ["TissueReader", "case_name"]


class TissueReader:
    """Reads synthetic tissue, which is its spec: nothing has to be there."""

    def __init__(self, spec: TissueSpec, listing: Listing | None = None) -> None:
        self.spec = spec
        self._listing = listing

    def listing(self) -> Listing:
        """Every patch; the case is the subject."""
        if self._listing is None:
            images = [
                IndexedImage(
                    subject=case_name(case), session=f"slide{slide + 1}",
                    file=f"{case_name(case)}/slide{slide + 1}/{patch:04d}",
                    columns={"class": ARCHITECTURES[case % 2], "slide": f"{case_name(case)}-slide{slide + 1}"},
                )
                for case, slide, patch in self.spec.places()
            ]  # fmt: skip
            self._listing = Listing(root=Path(), images=tuple(images))
        return self._listing

    def files(self) -> tuple[Path, list[str]]:
        """None are read."""
        return Path(), []

    def content(self, digests: Mapping[str, str]) -> tuple[str, ...]:
        """The options."""
        return (self.spec.model_dump_json(exclude={"name"}),)

    def open(self, workspace: Workspace, *, workers: int = 1, progress: Progress | None = None) -> Images:
        """Patches are drawn one by one."""
        from PIL import Image

        from ctlr.data.kinds.tissue.drawing import patch_of
        from ctlr.data.rows import Row, fitted_row

        listing, options = self.listing(), self.spec.preprocess
        assert isinstance(options, PreprocessSpec)
        numbers = dict(zip((image.file for image in listing.images), self.spec.places(), strict=True))

        def row(image: IndexedImage) -> Row:
            pixels = patch_of(self.spec, *numbers[image.file])
            return fitted_row(Image.fromarray(pixels), hashlib.sha256(pixels.tobytes()).hexdigest(), options)

        return Images(listing, row)


def case_name(case: int) -> str:
    """Of a case, by its number from 0."""
    return f"case{case + 1:04d}"
