"""BIDS folders: participants.tsv and sub-*/[ses-*/]anat/*_T1w.nii[.gz], raw or derivative.

Only names are read here, no image. Of several versions of one scan (same entities besides `desc` and `space`) one
is taken: the filters choose, and without them the version that carries the fewest of the two.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ctlr.data.listing import FolderReader, IndexedImage, Listing
from ctlr.data.reader import FileReader
from ctlr.data.sources import open_regular
from ctlr.data.tsv import read_table
from ctlr.errors import DataError
from ctlr.specs import BidsSpec

__all__ = ["BidsReader", "index", "mask_beside"]

_ENDINGS = (".nii.gz", ".nii")
_UNITS = re.compile(r"[A-Za-z0-9 ./^%*µ°²³-]{1,20}")


class BidsReader(FileReader):
    """Reads the volumes of a BIDS folder."""

    spec: BidsSpec

    def index(self) -> Listing:
        """List the T1-weighted images."""
        return index(self.spec)


@dataclass(frozen=True, kw_only=True)
class _Scan:
    """An image or mask below an `anat` folder."""

    file: str
    suffix: str
    session: str
    entities: dict[str, str]

    def version_of(self) -> tuple[tuple[str, str], ...]:
        """What all versions of one scan have in common."""
        return tuple(sorted((key, value) for key, value in self.entities.items() if key not in ("desc", "space")))

    def place(self) -> dict[str, str]:
        """What an image and its mask have in common."""
        return {key: value for key, value in self.entities.items() if key != "desc"}


def index(spec: BidsSpec) -> Listing:
    """List the T1-weighted images of a BIDS folder with the cells of participants.tsv.

    Cells of `sub-*/sub-*_sessions.tsv` add to them, and override them, for the images of that session.

    Raises:
        DataError: The folder or participants.tsv cannot be used. Faults of single subjects are listed instead.
    """
    root = Path(spec.root)
    folder = FolderReader(root)
    people = _participants(root, folder)
    images: list[IndexedImage] = []
    seen: set[str] = set()
    for entry in folder.entries("", lambda name: name.startswith("sub-")):
        if not entry.is_dir():
            continue
        subject, known_faults = entry.name, len(folder.faults)
        found = list(_images(folder, subject, people.get(subject, {}), spec))
        if found and subject not in people:
            folder.fault(subject, "an image needs a line in participants.tsv. Add it, or remove the folder.")
        elif found or len(folder.faults) > known_faults:
            images += found
            seen.add(subject)
    wanted = f"{', '.join(_filters(spec)) or 'no filter'}"
    for subject in people:
        if subject not in seen:
            folder.fault(
                subject,
                f"a line of participants.tsv needs an image sub-*/[ses-*/]anat/*_T1w.nii[.gz] ({wanted}). "
                "Add it, remove the line, or mind that ids are text: 12 is not 0012.",
            )
    return Listing(root=root, images=tuple(images), faults=tuple(folder.faults), units=_units(root))


def mask_beside(file: Path) -> Path | None:
    """The brain mask that BIDS names put beside an image, where there is one."""
    try:
        names = sorted(os.listdir(file.parent))
    except OSError:
        return None
    scans = [_scan(name, name, "") for name in names if name.endswith(tuple(f"_mask{end}" for end in _ENDINGS))]
    masks = [scan for scan in scans if "label" not in scan.entities]
    found = _mask_of(_scan(file.name, file.name, ""), masks)
    return None if found is None else file.parent / found


def _units(root: Path) -> dict[str, str]:
    """Column -> units, as participants.json says them; what it does not say well is not known."""
    try:
        with open_regular(_table_of(root, "participants.json")) as file:
            columns = json.load(file)
        units = {str(name): about["Units"] for name, about in columns.items() if "Units" in about}
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}
    return {name: text for name, text in units.items() if isinstance(text, str) and _UNITS.fullmatch(text)}


def _table_of(root: Path, name: str) -> Path:
    """A file of the dataset; a derivative at <raw>/derivatives/<pipeline> may leave it to <raw>."""
    if not os.path.lexists(root / name) and root.resolve().parent.name == "derivatives":
        return root.resolve().parent.parent / name
    return root / name


def _participants(root: Path, folder: FolderReader) -> dict[str, dict[str, str]]:
    """Subject (with `sub-`) -> cells."""
    name = "participants.tsv"
    path = _table_of(root, name)
    if path.parent == root and not folder.entries("", lambda entry: entry == name):
        if folder.faults:
            raise DataError(folder.faults[-1].reason, place=folder.faults[-1].place)
        raise DataError(
            f"{name}: a BIDS folder needs this table of its subjects.",
            told=f"{name}: a BIDS folder needs this table of its subjects, and {root.name!r} has none. "
            "Add it (participant_id and a column a target, separated by tabs), or correct `root`.",
        )
    if not path.exists():
        raise DataError(
            f"{name}: neither it nor the raw dataset above it has this table. Add it.", place=repr(root.name)
        )
    rows = read_table(path, name=name, key="participant_id")
    people = {f"sub-{subject.removeprefix('sub-')}": cells for subject, cells in rows.items()}
    if len(people) < len(rows):
        twice = next(subject for subject in rows if f"sub-{subject}" in rows)
        raise DataError(
            f"{name}: two lines are the same subject, with and without `sub-`. Keep one.",
            told=f"{name}: {twice!r} and 'sub-{twice}' are the same subject. Keep one line.",
        )
    return people


def _images(folder: FolderReader, subject: str, cells: dict[str, str], spec: BidsSpec) -> Iterator[IndexedImage]:
    """The subject's images; the version that the filters choose."""
    sessions = f"{subject}_sessions.tsv"
    entries = folder.entries(subject, lambda name: name in ("anat", sessions) or name.startswith("ses-"))
    names = [entry.name for entry in entries]
    scans = [scan for name in names if name != sessions for scan in _scans(folder, subject, name, spec)]
    visits = _sessions(folder, subject) if sessions in names else {}
    masks = [scan for scan in scans if scan.suffix == "mask" and "label" not in scan.entities]
    for scan in _choose([scan for scan in scans if scan.suffix == "T1w" and _wanted(scan, spec)], folder):
        yield IndexedImage(
            subject=subject,
            session=scan.session,
            file=scan.file,
            mask=_mask_of(scan, masks) if spec.mask else None,
            columns=cells | visits.get(scan.session, {}),
        )


def _sessions(folder: FolderReader, subject: str) -> dict[str, dict[str, str]]:
    """Session (without `ses-`) -> cells."""
    name = f"{subject}/{subject}_sessions.tsv"
    rows = read_table(Path(folder.root, name), name=name, key="session_id")
    return {session.removeprefix("ses-"): cells for session, cells in rows.items()}


def _scans(folder: FolderReader, subject: str, name: str, spec: BidsSpec) -> Iterator[_Scan]:
    """T1-weighted images and masks below `anat` or `ses-*/anat`."""
    session = "" if name == "anat" else name.removeprefix("ses-")
    if spec.session is not None and session != spec.session.removeprefix("ses-"):
        return
    anat = f"{subject}/{name}"
    if session:
        if not folder.entries(anat, lambda entry: entry == "anat"):
            return
        anat += "/anat"
    for entry in folder.entries(anat, _is_scan):
        scan = _scan(entry.name, f"{anat}/{entry.name}", session)
        if entry.name.partition("_")[0] != subject or scan.entities.get("ses", "") != session:
            folder.fault(
                f"{anat}/{entry.name}", "the name must begin with the subject and session of its folder. Rename it."
            )
            continue
        yield scan


def _scan(name: str, file: str, session: str) -> _Scan:
    """What the name of a file says."""
    *pairs, suffix = name.removesuffix(".gz").removesuffix(".nii").split("_")
    entities = {key: value for key, _, value in (pair.partition("-") for pair in pairs)}
    return _Scan(file=file, suffix=suffix, session=session, entities=entities)


def _is_scan(name: str) -> bool:
    return any(name.endswith((f"_T1w{ending}", f"_mask{ending}")) for ending in _ENDINGS)


def _filters(spec: BidsSpec) -> list[str]:
    return [f"{key}: {value}" for key in ("session", "desc", "space") if (value := getattr(spec, key)) is not None]


def _wanted(scan: _Scan, spec: BidsSpec) -> bool:
    return all(
        wish is None or scan.entities.get(key) == wish.removeprefix(f"{key}-")
        for key, wish in (("desc", spec.desc), ("space", spec.space))
    )


def _choose(images: list[_Scan], folder: FolderReader) -> Iterator[_Scan]:
    """One version of each scan; several that are equally plain are a fault."""
    scans: dict[tuple[tuple[str, str], ...], list[_Scan]] = {}
    for image in images:
        scans.setdefault(image.version_of(), []).append(image)
    for versions in scans.values():
        fewest = min(len(version.entities) for version in versions)
        plainest = [version for version in versions if len(version.entities) == fewest]
        if len(plainest) == 1:
            yield plainest[0]
        else:
            names = " and ".join(os.path.basename(version.file) for version in plainest)
            folder.fault(
                f"{os.path.dirname(plainest[0].file)}: {names}",
                "one version of a scan is needed; these are several. Choose with `desc` or `space`, or keep one.",
            )


def _mask_of(image: _Scan, masks: list[_Scan]) -> str | None:
    """The mask in the image's space: `desc-brain` before one without `desc`."""
    for desc in ("brain", None):
        for mask in masks:
            if mask.entities.get("desc") == desc and mask.place() == image.place():
                return mask.file
    return None
