"""What has to hold before a benchmark trains: every split can be drawn, and no side holds what another one has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from pydantic import TypeAdapter

from ctlr.data.inputs import check_inputs
from ctlr.data.leakage import Leak, find_leaks, refuse
from ctlr.data.neighbours import Copy, find_copies
from ctlr.data.overlaps import Overlap, find_overlaps
from ctlr.data.people import copied, same_people
from ctlr.data.places import overlapping, patches
from ctlr.data.placing import PlacedRows, meeting
from ctlr.data.splits import Split, draw_split, rows_of
from ctlr.data.store import read_table
from ctlr.data.table import Table
from ctlr.data.targets import Targets, read_targets
from ctlr.errors import LeakageError
from ctlr.plan import Plan
from ctlr.specs import DatasetSpec, DataTask, SplitSpec, StoredArrays, fingerprint
from ctlr.workspace import Workspace

__all__ = ["Gate", "TableGate"]

_RULES = "1"
"""Version of how copies are found."""
_COPIES = TypeAdapter(list[Copy])
_OVERLAPS = TypeAdapter(list[Overlap])

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Sides:
    """How the images of one study are divided; those of a source from another dataset are learned from."""

    target: DatasetSpec
    source: DatasetSpec | None
    split: Split
    spec: SplitSpec


class TableGate:
    """Checks a plan against the tables of its datasets.

    Args:
        plan: What is to be done.
        tables: One record an image, by the dataset's name.
    """

    def __init__(self, plan: Plan, tables: Mapping[str, Table]) -> None:
        self._plan, self._tables = plan, tables
        self._shares_people = cache(self._compare_people)
        self._targets = cache(self._read_targets)

    def leaks(self) -> list[Leak]:
        """Draw every split, then look for what two sides share.

        Raises:
            ConfigError: The dataset is smaller than the plan asks for, or a column is missing.
            DataError: A target cannot be used.
            LeakageError: A source's column repeats the target, or an input tells it.
        """
        drawn, leaks = list(self._drawn()), list[Leak]()
        for name in dict.fromkeys(sides.target.name for sides in drawn):
            of_target = [sides for sides in drawn if sides.target.name == name]
            sources = {sides.source.name: sides.source for sides in of_target if sides.source is not None}
            parts = [of_target[0].target, *sources.values()]
            pairs = self._pairs(parts, of_target)
            for sides in of_target:
                leaks += self._leaks(sides, [part.name for part in parts], pairs)
        return leaks

    def _read_targets(self, end: DataTask) -> Targets:
        table = self._tables[end.data.name]
        targets = read_targets(table, end.task, end.data.name)
        others = [read_targets(table, other.task, end.data.name) for other in end.others]
        for each in (targets, *others) if end.task.inputs else ():
            check_inputs(table, end.task, each)
        return targets

    def _drawn(self) -> Iterator[_Sides]:
        """Each division once, the largest first, so that a refusal names the size that does not fit."""
        seen: set[tuple[str, ...]] = set()
        for study in reversed(self._plan.studies):
            source, target = study.source, study.target
            key = (target.identity(), source.identity() if source is not None else "", str(study.n_train),
                   str(study.seed), study.split.identity())  # fmt: skip
            if key in seen:
                continue
            seen.add(key)
            table, targets = self._tables[target.data.name], self._targets(target)
            split = draw_split(
                table, targets, study.split, n_train=study.n_train, n_reserved=study.n_reserved, seed=study.seed
            )
            other = None
            if source is not None:
                taught = self._targets(source.alone())
                if source.data.name == target.data.name:
                    _check_columns(taught, targets)
                else:
                    other = source.data
            yield _Sides(target.data, other, split, study.split)

    def _leaks(self, sides: _Sides, parts: Sequence[str], pairs: Sequence[Copy | Overlap]) -> list[Leak]:
        target, source = sides.target.name, sides.source.name if sides.source is not None else ""
        images = {target: PlacedRows(target, self._tables[target], sides.split)}
        people, groups = {target: target}, {target: target}
        if source:
            images[source] = PlacedRows(source, self._tables[source], None)
            people[source] = target if self._shares_people(target, source) else source
            groups[source] = target if self._shares_groups(target, source) else source
        rows = list(images.values())
        leaks = find_leaks(meeting(rows, sides.spec.group), people=people, group=sides.spec.group, groups=groups)
        leaks += overlapping(patches(rows), groups)
        for pair in pairs:
            there = images.get(parts[pair.part])
            one, other = images[target][pair.row], None if there is None else there[pair.other]
            if one is not None and other is not None and one.side != other.side:
                leaks.append(Leak(_told(pair), one, other))
        return leaks

    def _compare_people(self, target: str, source: str) -> bool:
        """Whether equal ids of the two datasets are one subject."""
        kinds = {data.name: data.people for data in self._plan.datasets}
        if kinds[target] or kinds[source]:
            return kinds[target] == kinds[source]
        return self._shares_groups(target, source) and same_people(self._tables[target], self._tables[source])

    def _shares_groups(self, target: str, source: str) -> bool:
        """Whether equal values of a column are one group in both: not where they are generated, or said to differ."""
        generated = any(data.people for data in self._plan.datasets if data.name in (target, source))
        return not generated and all({target, source} != set(pair) for pair in self._plan.leaks.accept)

    def _pairs(self, parts: Sequence[DatasetSpec], drawn: Sequence[_Sides]) -> list[Copy | Overlap]:
        """None that tables would tell."""
        return []


class Gate(TableGate):
    """Checks a plan against the stored images.

    What takes long, the search for copies and overlaps, is kept in the workspace for the next time.

    Args:
        plan: What is to be done.
        arrays: Stored arrays by the dataset's name.
        workspace: Where they lie.
    """

    def __init__(self, plan: Plan, arrays: Mapping[str, StoredArrays], workspace: Workspace) -> None:
        super().__init__(plan, {name: read_table(stored, workspace) for name, stored in arrays.items()})
        self._arrays, self._workspace = arrays, workspace

    def check(self) -> None:
        """Refuse what two sides share.

        Raises:
            ConfigError, DataError: As of `leaks`.
            LeakageError: Two sides share a subject or an image, a source's column repeats the target, or
                an input tells it.
        """
        refuse(self.leaks(), self._plan.leaks, self._workspace)

    def _pairs(self, parts: Sequence[DatasetSpec], drawn: Sequence[_Sides]) -> list[Copy | Overlap]:
        """Copies of images that validate or test anywhere in the plan, of other subjects, and overlapping pictures."""
        correlation = self._plan.leaks.copies
        if correlation is None or parts[0].ndim == 0 or all(part.apart for part in parts):
            return []
        judged = {subject for sides in drawn for subject in (*sides.split.validation, *sides.split.test)}
        queries = rows_of(self._tables[parts[0].name], judged)
        arrays = [self._arrays[part.name] for part in parts]
        of_all = json.dumps([each.fingerprint for each in arrays]), json.dumps(queries.tolist())

        def copies() -> list[Copy]:
            return find_copies(queries, arrays, self._workspace, correlation=correlation)

        def overlaps() -> list[Overlap]:
            return find_overlaps(queries, arrays, self._workspace)

        found = self._kept("copies", _COPIES, copies, _RULES, str(correlation), *of_all)
        shared = self._kept("overlaps", _OVERLAPS, overlaps, _RULES, *of_all) if parts[0].ndim == 2 else []
        pairs: list[Copy | Overlap] = [*found, *shared]
        return [pair for pair in pairs if pair.part or not parts[0].apart]

    def _kept(self, kind: str, form: TypeAdapter[list[_T]], find: Callable[[], list[_T]], *of: str) -> list[_T]:
        """What was found before, or is now."""
        key, file = fingerprint(*of), f"{kind}.json"
        if not self._workspace.has(kind, key):
            found = find()
            with self._workspace.publish(kind, key) as folder:
                (folder / file).write_bytes(form.dump_json(found))
        return self._workspace.read(kind, key, file, form.validate_json)


def _told(pair: Copy | Overlap) -> str:
    if isinstance(pair, Copy):
        return f"copies of one image, correlation {pair.correlation:.4f}"
    return f"overlapping pictures, correlation {pair.correlation:.4f} on {pair.share:.0%} of the first"


def _check_columns(source: Targets, target: Targets) -> None:
    found = copied(source, target)
    if found is not None:
        measure = "agreement" if source.classes else "|r|"
        raise LeakageError(
            f"Column {source.column!r} of dataset {target.dataset!r} repeats the target {target.column!r} ({measure} "
            f"{found[0]:.4f} on {found[1]} images): as a source it teaches the target's own labels, beyond the "
            "`sample_sizes` that are compared. Choose another source."
        )
