"""What has to hold before a benchmark trains: every split can be drawn, and no side holds what another one has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter

from ctlr.data.leakage import LEARNED, Leak, Placed, find_leaks, refuse
from ctlr.data.neighbours import Copy, find_copies
from ctlr.data.people import copied, same_people
from ctlr.data.splits import Split, draw_split, rows_of
from ctlr.data.store import ImageRecord, read_table
from ctlr.data.targets import Targets, read_targets
from ctlr.errors import LeakageError
from ctlr.plan import Plan
from ctlr.specs import DatasetSpec, DataTask, SplitSpec, StoredArrays, fingerprint
from ctlr.workspace import Workspace

__all__ = ["Gate", "placed"]

_RULES = "1"
"""Version of how copies are found."""
_COPIES = TypeAdapter(list[Copy])


@dataclass(frozen=True)
class _Sides:
    """How the images of one study are divided; those of a source from another dataset are learned from."""

    target: DatasetSpec
    source: DatasetSpec | None
    split: Split
    spec: SplitSpec


class Gate:
    """Checks a plan against the stored images.

    What takes long, the search for copies, is kept in the workspace for the next time.

    Args:
        plan: What is to be done.
        arrays: Stored arrays by the dataset's name.
        workspace: Where they lie.
    """

    def __init__(self, plan: Plan, arrays: Mapping[str, StoredArrays], workspace: Workspace) -> None:
        self._plan, self._arrays, self._workspace = plan, arrays, workspace
        self._tables = {name: read_table(stored, workspace) for name, stored in arrays.items()}
        self._shares_people = cache(self._compare_people)
        self._targets = cache(self._read_targets)

    def check(self) -> None:
        """Draw every split, then look for leaks.

        Raises:
            ConfigError: The dataset is smaller than the plan asks for, or a column is missing.
            DataError: A target cannot be used.
            LeakageError: Two sides share a subject or an image, or a source's column repeats the target.
        """
        drawn, leaks = list(self._drawn()), list[Leak]()
        for name in dict.fromkeys(sides.target.name for sides in drawn):
            of_target = [sides for sides in drawn if sides.target.name == name]
            sources = {sides.source.name: sides.source for sides in of_target if sides.source is not None}
            parts = [of_target[0].target, *sources.values()]
            copies = self._copies(parts, of_target)
            for sides in of_target:
                leaks += self._leaks(sides, [part.name for part in parts], copies)
        refuse(leaks, self._plan.leaks, self._workspace)

    def _read_targets(self, end: DataTask) -> Targets:
        return read_targets(self._tables[end.data.name], end.task, end.data.name)

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
                taught = self._targets(source)
                if source.data.name == target.data.name:
                    _check_columns(taught, targets)
                else:
                    other = source.data
            yield _Sides(target.data, other, split, study.split)

    def _leaks(self, sides: _Sides, parts: Sequence[str], copies: Sequence[Copy]) -> list[Leak]:
        target, source = sides.target.name, sides.source.name if sides.source is not None else ""
        images = {target: placed(target, self._tables[target], sides.split)}
        people, groups = {target: target}, {target: target}
        if source:
            images[source] = placed(source, self._tables[source], None)
            people[source] = target if self._shares_people(target, source) else source
            groups[source] = target if self._shares_groups(target, source) else source
        known = [image for rows in images.values() for image in rows if image is not None]
        leaks = find_leaks(known, people=people, group=sides.spec.group, groups=groups)
        for copy in copies:
            one, other = images[target][copy.row], images.get(parts[copy.part], {copy.other: None})[copy.other]
            if one is not None and other is not None and one.side != other.side:
                leaks.append(Leak(f"copies of one image, correlation {copy.correlation:.4f}", one, other))
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

    def _copies(self, parts: Sequence[DatasetSpec], drawn: Sequence[_Sides]) -> list[Copy]:
        """Copies of images that validate or test anywhere in the plan, of other subjects."""
        correlation = self._plan.leaks.copies
        if correlation is None or parts[0].ndim == 0 or all(part.apart for part in parts):
            return []
        judged = {subject for sides in drawn for subject in (*sides.split.validation, *sides.split.test)}
        queries = rows_of(self._tables[parts[0].name], judged)
        arrays = [self._arrays[part.name] for part in parts]
        key = fingerprint(
            _RULES, str(correlation), json.dumps([each.fingerprint for each in arrays]), json.dumps(queries.tolist())
        )
        if not self._workspace.has("copies", key):
            found = find_copies(queries, arrays, self._workspace, correlation=correlation)
            with self._workspace.publish("copies", key) as folder:
                (folder / "copies.json").write_bytes(_COPIES.dump_json(found))
        found = self._workspace.read("copies", key, "copies.json", _COPIES.validate_json)
        return [copy for copy in found if copy.part or not parts[0].apart]


def placed(name: str, table: Sequence[ImageRecord], split: Split | None) -> list[Placed | None]:
    """Every row of a table on its side; without a split all are learned from, and with one None stands on no side."""
    if split is None:
        return [Placed(LEARNED, name, record) for record in table]
    side_of = (
        dict.fromkeys([*split.train, *split.unlabelled], LEARNED)
        | dict.fromkeys(split.validation, "validation")
        | dict.fromkeys(split.test, "test")
    )
    return [Placed(side_of[record.subject], name, record) if record.subject in side_of else None for record in table]


def _check_columns(source: Targets, target: Targets) -> None:
    found = copied(source, target)
    if found is not None:
        measure = "agreement" if source.classes else "|r|"
        raise LeakageError(
            f"Column {source.column!r} of dataset {target.dataset!r} repeats the target {target.column!r} ({measure} "
            f"{found[0]:.4f} on {found[1]} images): as a source it teaches the target's own labels, beyond the "
            "`sample_sizes` that are compared. Choose another source."
        )
