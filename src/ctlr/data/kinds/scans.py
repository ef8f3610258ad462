"""What the names of BIDS files say: entities, which of several versions of one scan is read, and its mask."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ctlr.specs import BidsSpec, Exclusion

__all__ = [
    "ENDINGS", "Chosen", "Scan", "choose", "composed", "filters", "is_image", "mask_beside", "mask_of", "scan_of",
    "session_wanted",
]  # fmt: skip

ENDINGS = (".nii.gz", ".nii")
_VERSION = (
    "desc", "space", "res", "den", "cohort", "rec", "part", "echo", "chunk", "flip", "inv", "mt", "split", "hemi",
)  # fmt: skip
"""Entities in which files of one acquisition differ: processing, sampling, reconstruction, and the parts of a scan."""
_INDICES = ("run", "echo", "chunk", "flip", "inv", "split")
"""Entities whose labels are numbers: 1 is 01."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """An image or mask below an `anat` folder."""

    file: str
    suffix: str
    session: str
    entities: dict[str, str]

    def acquisition(self) -> tuple[tuple[str, str], ...]:
        """What all versions of one scan have in common."""
        named = [(key, value) for key, value in self.entities.items() if value]  # `_brain_T1w` names a version too
        labels = ((key, value.lstrip("0") if key in _INDICES else value) for key, value in named)
        return tuple(sorted((key, value) for key, value in labels if key not in _VERSION))

    def place(self) -> dict[str, str]:
        """What an image and its mask have in common."""
        return {key: value for key, value in self.entities.items() if key != "desc"}


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Which of a subject's scans are read."""

    scans: tuple[Scan, ...]
    faults: tuple[Exclusion, ...]
    """One for each scan of which no version can be chosen."""
    left_out: tuple[Exclusion, ...]
    """One for each file that is not read, and no fault."""


def composed(name: str) -> str:
    """A name as tables are read: accents composed (Unicode's NFC), which macOS writes apart."""
    return unicodedata.normalize("NFC", name)


def is_image(name: str, suffix: str) -> bool:
    """Whether a name is that of a volume with a suffix, in either case of its ending."""
    return name.lower().endswith(ENDINGS) and name.partition(".")[0].endswith(f"_{suffix}")


def scan_of(name: str, file: str, session: str) -> Scan:
    """What the name of a file says."""
    stem = next((name[: -len(ending)] for ending in ENDINGS if name.lower().endswith(ending)), name)
    *pairs, suffix = composed(stem).split("_")
    entities = {key: value for key, _, value in (pair.partition("-") for pair in pairs)}
    return Scan(file=file, suffix=suffix, session=session, entities=entities)


def filters(spec: BidsSpec) -> str:
    """The filters in words."""
    session = {"session": (spec.session,)} if spec.session is not None else {}
    prefix = {"prefix": (spec.prefix,)} if spec.prefix is not None else {}
    wishes = prefix | session | spec.wishes()
    return ", ".join(f"{key}: {' or '.join(label or 'none' for label in labels)}" for key, labels in wishes.items())


def session_wanted(session: str, spec: BidsSpec) -> bool:
    """Whether the filters take a session."""
    return spec.session is None or session == spec.session.removeprefix("ses-")


def choose(images: Sequence[Scan], spec: BidsSpec) -> Chosen:
    """Choose among the images of a subject's wanted sessions: what the filters take, of each scan the plainest version.

    Of the parts of a complex image the magnitude is read, unless the filters say another one. Several versions that are
    equally plain are a fault: nothing is guessed.
    """
    wanted: dict[tuple[tuple[str, str], ...], list[Scan]] = {}
    left_out, faults, chosen = list[Exclusion](), list[Exclusion](), list[Scan]()
    for image in images:
        if not _wanted(image, spec):
            left_out.append(Exclusion(place=image.file, reason=f"the filters leave it out ({filters(spec)})."))
        elif "part" not in spec.wishes() and image.entities.get("part", "mag") != "mag":
            reason = "it is not the magnitude of a complex image. `entities: {part: ...}` takes another part."
            left_out.append(Exclusion(place=image.file, reason=reason))
        else:
            wanted.setdefault(image.acquisition(), []).append(image)
    for versions in wanted.values():
        fewest = min(len(version.entities) for version in versions)
        plainest = [version for version in versions if len(version.entities) == fewest]
        if len(plainest) > 1:
            faults.append(_undecided(plainest))
            continue
        chosen += plainest
        others = [version.file for version in versions if version is not plainest[0]]
        left_out += [Exclusion(place=file, reason="another version of the same scan is read.") for file in others]
    return Chosen(scans=tuple(chosen), faults=tuple(faults), left_out=tuple(left_out))


def mask_beside(file: Path) -> Path | None:
    """The brain mask that BIDS names put beside an image, where there is one."""
    try:
        names = sorted(os.listdir(file.parent))
    except OSError:
        return None
    masks = [scan_of(name, name, "") for name in names if is_image(name, "mask")]
    found = mask_of(scan_of(file.name, file.name, ""), masks)
    return None if found is None else file.parent / found


def mask_of(image: Scan, scans: Sequence[Scan]) -> str | None:
    """The brain's mask in the image's space: `desc-brain` before one without `desc`."""
    masks = [scan for scan in scans if scan.suffix == "mask" and "label" not in scan.entities]
    for desc in ("brain", None):
        for mask in masks:
            if mask.entities.get("desc") == desc and mask.place() == image.place():
                return mask.file
    return None


def _wanted(scan: Scan, spec: BidsSpec) -> bool:
    return all(
        any(_same(key, scan.entities.get(key, ""), label) for label in labels) for key, labels in spec.wishes().items()
    )


def _same(key: str, label: str, wish: str) -> bool:
    if key in _INDICES and label.isdecimal() and wish.isdecimal():
        return int(label) == int(wish)
    return label == wish


def _undecided(versions: Sequence[Scan]) -> Exclusion:
    names = " and ".join(os.path.basename(version.file) for version in versions)
    return Exclusion(
        place=f"{os.path.dirname(versions[0].file)}: {names}",
        reason=f"one version of a scan is needed; these are several. {_remedy(versions)}",
    )


def _remedy(versions: Sequence[Scan]) -> str:
    differing = [key for key in _VERSION if len({version.entities.get(key) for version in versions}) > 1]
    if not differing:
        return "Keep one: no filter tells them apart."
    others = ", ".join(f"{key}: ..." for key in differing if key not in ("desc", "space"))
    return f"Choose with {f'`entities: {{{others}}}`' if others else '`desc` or `space`'}, or keep one."
