"""What is wrong with a benchmark's data, all of it at once: tables, sizes, headers of images; nothing is stored.

A run meets the same rules one after the other, some of them only when every image is stored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ctlr.config import BenchmarkConfig, KeyPath
from ctlr.cost import Size
from ctlr.data.gate import TableGate
from ctlr.data.identity import remembered_identity
from ctlr.data.leakage import refuse_of_tables
from ctlr.data.listing import IndexedImage, Listing
from ctlr.data.reader import FileReader, LooksAtFiles, Reader, reader_of
from ctlr.data.splits import draw_split
from ctlr.data.summary import summarise
from ctlr.data.table import Table
from ctlr.data.targets import Targets, read_targets
from ctlr.errors import ConfigError, CtlrError, DataError, MissingExtraError, WorkspaceError, nearest
from ctlr.plan import Plan
from ctlr.specs import DatasetSpec, DataTask, Exclusion, Study, TargetSummary, kind_of_image
from ctlr.workspace import Workspace

__all__ = ["Examined", "Looked", "examine", "missing_packages", "stored"]

_KEY = re.compile(r"`([a-z_.]+)`")
"""A message that begins with an option says where it stands."""
_SHOWN = 5


@dataclass(kw_only=True)
class Looked:
    """What one dataset holds.

    Attributes:
        subjects, images: That a run would store, once the faults are repaired; None where nothing tells them before
            the set is read.
        left_out: Why images and files are not read, though nothing has to be repaired: reason -> how many.
        targets: What is known of each task on it.
        kind: Of data.
        shape: (C, *S) of a stored image.
        listing: Of its images, where there is one.
    """

    kind: str
    shape: tuple[int, ...]
    subjects: int | None = None
    images: int | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    targets: list[TargetSummary] = field(default_factory=list)
    listing: Listing | None = None


@dataclass
class Examined:
    """What was found.

    Attributes:
        faults: Key of the benchmark file and what is wrong, each once.
        excluded: By dataset, images that a run would leave out as `on_bad_subject: exclude` says.
        elsewhere: Datasets that were not looked at, since they lie on a cluster.
        notes: What is worth knowing where subjects have several images: how many there are of each class.
        warnings: What may not be meant: codes for unknown among a target's values, a class spelled twice.
        datasets: Each that was looked at.
    """

    faults: list[tuple[KeyPath, CtlrError]] = field(default_factory=list)
    excluded: dict[str, list[Exclusion]] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    datasets: dict[str, Looked] = field(default_factory=dict)

    def fault(self, where: KeyPath, error: CtlrError) -> None:
        """Note one, unless it is there."""
        for each in (error, *error.others):
            if all(str(each) != str(other) for _, other in self.faults):
                self.faults.append((where, each))

    @property
    def sizes(self) -> dict[str, Size]:
        """How much each dataset holds, where that is known."""
        return {
            name: Size(subjects=looked.subjects, images=looked.images)
            for name, looked in self.datasets.items()
            if looked.subjects is not None and looked.images is not None
        }


def missing_packages(config: BenchmarkConfig) -> Iterator[tuple[KeyPath, CtlrError]]:
    """What a run of the benchmark on this machine needs and is not installed."""
    if config.tracking.backend == "mlflow" and find_spec("mlflow") is None:
        rule = "needs the package 'mlflow', which is not installed. Install it: pip install 'ctlr[tracking]', or write"
        yield ("tracking", "backend"), MissingExtraError(f"{rule} `tracking: {{backend: none}}`.")


def stored(plan: Plan, found: Examined, root: Path) -> frozenset[str]:
    """Datasets of which a workspace holds the images already; files that were never read, or changed, are not held."""
    if not (root / "workspace.json").exists():
        return frozenset()
    held = set[str]()
    try:
        workspace = Workspace(root)
    except WorkspaceError:  # which a run refuses
        return frozenset()
    for dataset in plan.datasets:
        if dataset.name in found.datasets:
            identity = remembered_identity(dataset, found.datasets[dataset.name].listing, workspace)
            if identity is not None and workspace.has("arrays", identity):
                held.add(dataset.name)
    return frozenset(held)


def examine(
    plan: Plan,
    *,
    datasets: Sequence[DatasetSpec] = (),
    ends: Sequence[DataTask] = (),
    away: Collection[str] = (),
    workers: int = 1,
) -> Examined:
    """Read tables and headers of every dataset of a plan, and draw every split.

    Args:
        plan: Of the benchmark.
        datasets, ends: To look at beside the plan's: where the file is wrong in places, and its plan only a part.
        away: Names of datasets that a cluster holds.
        workers: Images that are looked at at once.
    """
    found, tables = Examined(), dict[str, Table]()
    for name, dataset in {each.name: each for each in (*datasets, *plan.datasets)}.items():
        if name in away:
            found.elsewhere.append(name)
            continue
        known = dataset.known_subjects
        looked = Looked(kind=dataset.kind, shape=dataset.stored_shape, subjects=known, images=known)
        found.datasets[name] = looked
        try:
            reader = reader_of(dataset)
            reader.files()
            if isinstance(reader, LooksAtFiles):
                reader.look_at_files()
            if (listing := reader.listing()) is not None:
                usable = _usable(dataset, reader, listing, found, workers)
                tables[name] = Table.of(usable)
                looked.listing, looked.images = listing, len(usable)
                looked.subjects = len({image.subject for image in usable})
                looked.left_out |= Counter(each.reason for each in listing.left_out)
        except CtlrError as error:
            found.fault(("datasets", name), error)
    for study in plan.studies:
        for end in study.learned[2:]:
            if table := tables.get(end.data.name):
                _read(end, table, ("methods", study.method.label, "columns"), found)
    _look_at_weights(plan, found)
    drawn = [study for study in plan.studies if study.target.data.name in tables]
    for end, studies in (dict.fromkeys(ends, ()) | _by_end(plan)).items():
        if tables.get(end.data.name) and not _judge(end, studies, tables[end.data.name], found):
            drawn = [study for study in drawn if end not in study.learned]
    _look_for_leaks(plan, drawn, tables, found)
    return found


def _look_for_leaks(plan: Plan, drawn: Sequence[Study], tables: Mapping[str, Table], found: Examined) -> None:
    """Look for people on two sides of the studies whose tables are whole, whatever is wrong with others."""
    whole = tuple(study for study in drawn if all(end.data.name in tables for end in study.learned))
    names = {end.data.name for study in whole for end in study.learned}
    part = plan.model_copy(
        update={"studies": whole, "datasets": tuple(data for data in plan.datasets if data.name in names)}
    )
    try:
        refuse_of_tables(TableGate(part, tables).leaks(), plan.leaks)
    except CtlrError as error:
        found.fault(("transfers",), error)


def _look_at_weights(plan: Plan, found: Examined) -> None:
    """Read the files of weights that lie here, each once for an encoder."""
    seen = set[tuple[str, str]]()
    for study in plan.studies:
        method, data = study.method, study.target.data
        files = [Path(file) for option in method.files if (file := getattr(method, option)) is not None]
        if (method.label, study.encoder.label) in seen or not files or not all(file.is_file() for file in files):
            continue
        seen.add((method.label, study.encoder.label))
        from ctlr.encoders import build_encoder  # brings torch, which few benchmarks' checks need

        try:
            encoder = build_encoder(study.encoder, channels=data.stored_shape[0], ndim=data.ndim, seed=0)
            method.starting_weights(encoder)
        except CtlrError as error:
            found.fault(("methods", method.label), error)


def _usable(
    dataset: DatasetSpec, reader: Reader, listing: Listing, found: Examined, workers: int
) -> Sequence[IndexedImage]:
    """Images that a run would store once the faults, which are noted, are repaired."""

    def look(image: IndexedImage) -> Exclusion | None:
        try:
            assert isinstance(reader, FileReader)
            reader.look(image)
        except DataError as error:
            return Exclusion(place=f"{image.file} ({error.place})" if error.place else image.file, reason=error.reason)
        return None

    looked = isinstance(reader, FileReader)  # tables have been read to the end already
    with ThreadPoolExecutor(workers) as pool:
        seen = list(pool.map(look, listing.images)) if looked else []
    bad = [*listing.faults, *(fault for fault in seen if fault is not None)]
    if dataset.preprocess.on_bad_subject == "exclude":
        found.excluded[dataset.name] = bad
        found.datasets[dataset.name].left_out |= Counter(fault.reason for fault in bad)
    else:
        for fault in bad:
            found.fault(("datasets", dataset.name), DataError(fault.reason, place=fault.place))
        return listing.images  # when they are repaired
    if not looked:
        return listing.images
    return [image for image, fault in zip(listing.images, seen, strict=True) if fault is None]


def _by_end(plan: Plan) -> dict[DataTask, list[Study]]:
    """Studies by their target; sources have none."""
    found: dict[DataTask, list[Study]] = {}
    for study in reversed(plan.studies):  # the largest first, so that a refusal names the size that does not fit
        found.setdefault(study.target, []).append(study)
        if study.source is not None:
            found.setdefault(study.source, [])
    return found


def _read(end: DataTask, table: Table, where: KeyPath, found: Examined) -> Targets | None:
    """A target, unless its column is not there or holds something else."""
    try:
        return read_targets(table, end.task, end.data.name)
    except CtlrError as error:
        found.fault(where, error)
        return None


def _judge(end: DataTask, studies: Sequence[Study], table: Table, found: Examined) -> bool:
    """Read a target, look for the columns that are asked for beside it, draw the splits; whether nothing was wrong."""
    whole = [study for study in studies if _has_columns(study, table, found)]
    if (targets := _read(end, table, ("tasks", end.task.name, "target"), found)) is None:
        return False
    found.notes += _cases(table, targets, f"{end.data.name}, {end.task.name}", kind_of_image(end.data.ndim))
    if not _summarise(end, table, found):
        return False
    drawn = set[tuple[int, int]]()
    for study in whole:
        if (study.n_train, study.seed) not in drawn:
            drawn.add((study.n_train, study.seed))
            try:
                draw_split(
                    table, targets, study.split, n_train=study.n_train, n_reserved=study.n_reserved, seed=study.seed
                )
            except CtlrError as error:
                key = _KEY.match(error.reason)
                found.fault(tuple(key[1].split(".")) if key else ("datasets", end.data.name), error)
                return False
    return len(whole) == len(studies)


def _summarise(end: DataTask, table: Table, found: Examined) -> bool:
    """Note what a dataset holds of a target, and of what else its network learns; whether nothing was wrong."""
    looked = found.datasets[end.data.name]
    units = looked.listing.units if looked.listing is not None else {}
    for each in (end, *end.others):
        try:
            summary = summarise(table, each, units)
        except CtlrError as error:  # of what it reads beside the images
            found.fault(("tasks", end.task.name), error)
            return False
        if all(other.task != summary.task for other in looked.targets):
            looked.targets.append(summary)
            found.warnings += [f"{summary.data}.{summary.task}: {warning}" for warning in summary.warnings]
    return True


def _cases(table: Table, targets: Targets, where: str, image: str) -> Iterator[str]:
    """How many subjects and images each class has, where a subject has several, and who stands in two classes."""
    owners, codes, names = table.subject.codes[targets.known], targets.values[targets.known], targets.classes
    count = np.count_nonzero(np.bincount(owners))
    if not names or count == len(owners):
        return
    held = np.zeros((len(table.subject.values), len(names)), bool)
    held[owners, codes.astype(np.int64)] = True
    subjects, images = held.sum(0), np.bincount(codes.astype(np.int64), minlength=len(names))
    counts = ", ".join(f"{name} {subjects[place]} ({images[place]})" for place, name in enumerate(names))
    yield f"{where}: {count} subjects with {len(owners)} {image}s; of each class {counts}."
    mixed = np.flatnonzero(held.sum(1) > 1).tolist()
    if mixed and image == "image":  # what lies in folders of classes; a recording has events of all of them
        shown = ", ".join(repr(table.subject.values[each]) for each in mixed[:_SHOWN])
        yield (
            f"{where}: {len(mixed)} of them have {image}s of several classes: {shown}{', …' * (len(mixed) > _SHOWN)}. "
            "That may be right; if numbers begin anew in each class, two people pass for one."
        )


def _has_columns(study: Study, table: Table, found: Examined) -> bool:
    """Whether a target's table has the columns that its split names."""
    split, name = study.split, study.target.data.name
    asked = {"stratify": split.stratify, "group": (split.group,) if split.group else ()}
    there = [_look_for(columns, table, name, ("split", option), found) for option, columns in asked.items()]
    return all(there)


def _look_for(columns: Sequence[str], table: Table, name: str, where: KeyPath, found: Examined) -> bool:
    """Whether a dataset's table has all these columns; each that is missing is noted."""
    known = table.columns
    missing = [column for column in columns if column not in known]
    for column in missing:
        found.fault(where, ConfigError(f"dataset {name!r} has no column {column!r}. {nearest(column, known)}"))
    return not missing
