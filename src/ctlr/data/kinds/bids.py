"""BIDS folders: participants.tsv and sub-*/[ses-*/]anat/*_T1w.nii[.gz], raw or derivative.

Only names and tables are read here, no image.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ctlr.data.kinds.bids_tables import read_participants, read_sessions, read_units, sessions_name
from ctlr.data.kinds.scans import ENDINGS, Scan, choose, composed, filters, is_image, mask_of, scan_of, session_wanted
from ctlr.data.listing import FolderReader, IndexedImage, Listing
from ctlr.data.reader import FileReader
from ctlr.errors import DataError
from ctlr.specs import BidsSpec

__all__ = ["BidsReader", "index"]

_NAMES = re.compile(r"[^.].*_(T1w\.(?!json$).+|mask\.(?i:nii(\.gz)?))", re.DOTALL)
"""Of images and masks; hidden files, such as the `._*` of macOS, are none."""
_IMAGES = "sub-*/[ses-*/]anat/*_T1w.nii[.gz]"
_LABEL = (
    "a label must not hold `_`, which ends it in the names of BIDS. Rename the folder, its files, and the id in the "
    "tables."
)

_BEGINS = "the name must begin with the subject and session of its folder. Rename it."
_PREFIX = f"{_BEGINS[:-1]}, or name in `prefix` what stands before them."


class BidsReader(FileReader):
    """Reads the volumes of a BIDS folder."""

    spec: BidsSpec

    def index(self) -> Listing:
        """List the T1-weighted images."""
        return index(self.spec)


def index(spec: BidsSpec) -> Listing:
    """List the T1-weighted images of a BIDS folder with the cells of participants.tsv.

    Cells of `sub-*/sub-*_sessions.tsv` add to them, and override them, for the images of that session.

    Raises:
        DataError: The folder or participants.tsv cannot be used. Faults of single subjects are listed instead.
    """
    root = Path(spec.root)
    folder = FolderReader(root)
    people = read_participants(root, folder)
    images: list[IndexedImage] = []
    seen: set[str] = set()
    for entry in folder.entries("", lambda name: name.startswith("sub-")):
        if not entry.is_dir():
            continue
        subject, known_faults = composed(entry.name), len(folder.faults)
        found = list(_images(folder, entry.name, people.get(subject, {}), spec))
        if found and subject not in people:
            folder.fault(subject, "an image needs a line in participants.tsv. Add it, or remove the folder.")
        elif found or len(folder.faults) > known_faults:
            images += found
            seen.add(subject)
    seen |= {fault.place for fault in folder.faults}
    missing = (
        f"a line of participants.tsv needs an image {_IMAGES} ({filters(spec) or 'no filter'}). "
        "Add it, remove the line, or mind that ids are text: 12 is not 0012."
    )
    for subject in people:
        if subject not in seen:
            folder.fault(subject, _LABEL if "_" in subject else missing)
    units = read_units(root, people, folder)
    return Listing(
        root=root,
        images=tuple(images),
        faults=tuple(folder.faults),
        left_out=tuple(folder.left_out),
        units=units,
    )


def _images(folder: FolderReader, subject: str, cells: dict[str, str], spec: BidsSpec) -> Iterator[IndexedImage]:
    """The subject's images, those that the filters choose."""
    table, known_faults = os.path.basename(sessions_name(subject)), len(folder.faults)
    entries = folder.entries(subject, lambda name: name in ("anat", table) or name.startswith("ses-"))
    if any(fault.place == sessions_name(subject) for fault in folder.faults[known_faults:]):
        return  # what the table would have said of the images is not known
    names = [entry.name for entry in entries if entry.name != table]
    scans = [scan for name in names for scan in _scans(folder, subject, name, spec)]
    chosen = choose([scan for scan in scans if scan.suffix == "T1w"], spec)
    folder.faults += chosen.faults
    folder.left_out += chosen.left_out
    try:
        visits = read_sessions(Path(folder.root), subject)
    except DataError as error:
        for each in (error, *error.others):
            folder.fault(each.place or sessions_name(subject), each.reason)
        return
    if clash := _spelled_otherwise(visits, cells):
        folder.fault(sessions_name(subject), clash)
        return
    unmatched = _unmatched(visits, [_session(name) for name in names], own=len(entries) > len(names))
    for scan in chosen.scans:
        if scan.session in unmatched:
            folder.fault(
                f"{sessions_name(subject)}, session {scan.session!r} of {scan.file}",
                "a session must have one label in the table and in its folder; this image has no line there, and a "
                "line has no folder. Correct session_id, or add a line.",
            )
            continue
        yield IndexedImage(
            subject=composed(subject),
            session=scan.session,
            file=scan.file,
            mask=mask_of(scan, scans) if spec.mask else None,
            columns=cells | visits.get(f"ses-{scan.session}", {}),
        )


def _spelled_otherwise(visits: Mapping[str, Mapping[str, str]], cells: Mapping[str, str]) -> str | None:
    """Why a column would be passed over: it differs from one of participants.tsv by case alone."""
    known = {column.casefold(): column for column in cells}
    for column in (column for visit in visits.values() for column in visit if column not in cells):
        if column.casefold() in known:
            return (
                f"a column must have one name in all tables; participants.tsv has {known[column.casefold()]!r}, this "
                f"{column!r}. Rename one."
            )
    return None


def _unmatched(visits: Mapping[str, object], sessions: Sequence[str], *, own: bool) -> set[str]:
    """Sessions without a line, where a line without a folder may be meant for them.

    Where the table is not the folder's own, an image without a session may have been made of several.
    """
    spare = any(visit.removeprefix("ses-") not in sessions for visit in visits)
    return {session for session in sessions if f"ses-{session}" not in visits and (session or own)} if spare else set()


def _session(name: str) -> str:
    """Of a folder below the subject's."""
    return "" if name == "anat" else composed(name.removeprefix("ses-"))


def _scans(folder: FolderReader, subject: str, name: str, spec: BidsSpec) -> Iterator[Scan]:
    """T1-weighted images and masks below `anat` or `ses-*/anat`."""
    session = _session(name)
    anat = f"{subject}/{name}"
    if not session_wanted(session, spec):
        _leave_out(folder, f"{anat}/anat" if session else anat, f"the filters leave it out ({filters(spec)}).")
        return
    if session:
        if not folder.entries(anat, lambda entry: entry == "anat"):
            return
        anat += "/anat"
    for entry in folder.entries(anat, _is_scan):
        prefix = spec.prefix or ""
        called = entry.name.removeprefix(prefix)
        scan = scan_of(called, f"{anat}/{entry.name}", session)
        if not entry.name.startswith(f"{prefix}sub-") and prefix:
            folder.leave_out(scan.file, f"the filters leave it out ({filters(spec)}).")
        elif not entry.name.lower().endswith(ENDINGS):
            folder.leave_out(scan.file, f"only {' and '.join(ENDINGS)} are read. Convert it.")
        elif scan.suffix not in ("T1w", "mask"):
            folder.leave_out(scan.file, "the name must end in _T1w.nii or _T1w.nii.gz. Rename it.")
        elif "_" in subject or "_" in session:
            folder.fault(subject if "_" in subject else f"{subject}/{name}", _LABEL)
        elif composed(called).partition("_")[0] != composed(subject) or scan.entities.get("ses", "") != session:
            folder.fault(scan.file, _PREFIX if composed(subject) in composed(called) else _BEGINS)
        else:
            yield scan


def _leave_out(folder: FolderReader, anat: str, reason: str) -> None:
    """Count the images of a session that nobody asked for; what is wrong with them is no fault."""
    try:
        names = os.listdir(os.path.join(folder.root, anat))
    except OSError:
        return
    for name in sorted(names):
        if is_image(name, "T1w") and not name.startswith("."):
            folder.leave_out(f"{anat}/{name}", reason)


def _is_scan(name: str) -> bool:
    """Whether a name is that of an image, in whatever format, or of a mask."""
    return _NAMES.fullmatch(name) is not None
