"""A run that is compared: its report, and where the workspace is at hand its predictions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ctlr.report.document.values import Report, Transfer
from ctlr.report.findings import Findings
from ctlr.report.numbers.contests import Contest

__all__ = ["Difference", "Key", "Side", "differences"]

Key = tuple[str, str, str]
"""(target, source, encoder) of a transfer, by their names in the file."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A run under the name that it has in the comparison."""

    name: str
    report: Report
    found: Findings | None = None
    """Its studies with their predictions; None where its report alone is there."""
    people: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Pseudonym of each subject -> who that is, the same in every workspace; never written."""

    @property
    def transfers(self) -> dict[Key, Transfer]:
        """As its report has them."""
        return {(each.target, each.source, each.encoder): each for each in self.report.transfers}

    @property
    def contests(self) -> dict[Key, Contest]:
        """With predictions; empty where there are none."""
        if self.found is None:
            return {}
        return dict(zip(self.transfers, self.found.contests, strict=True))


@dataclass(frozen=True)
class Difference:
    """Something that runs do not have alike."""

    key: str
    values: tuple[str, ...]
    """One a run; empty where a run has nothing of it."""


def differences(sides: Sequence[Mapping[str, str]]) -> list[Difference]:
    """Keys under which mappings say different things, in the order in which they first appear."""
    keys = dict.fromkeys(key for side in sides for key in side)
    found = [Difference(key, tuple(side.get(key, "") for side in sides)) for key in keys]
    return [each for each in found if len(set(each.values)) > 1 or not all(each.key in side for side in sides)]


def file_facts(side: Side) -> dict[str, str]:
    """Every option of the benchmark file, by the path of its key: `methods.scratch.finetune.epochs`."""
    return dict(_flat(side.report.provenance.file, ""))


def data_facts(side: Side) -> dict[str, str]:
    """What went in: images, subjects, targets, splits."""
    report, found = side.report, dict[str, str]()
    for each in report.data:
        left = sorted((one.reason, one.images) for one in each.excluded)
        left_out = "; ".join(f"{reason} ({count})" for reason, count in left)
        found |= {
            f"{each.name}: images": str(each.images), f"{each.name}: subjects": str(each.subjects),
            f"{each.name}: shape": " x ".join(map(str, each.shape)), f"{each.name}: stored as": each.dtype,
            f"{each.name}: images left out": left_out or "none", f"{each.name}: fingerprint": each.fingerprint,
        }  # fmt: skip
    for target in report.targets:
        name = f"{target.data}: target {target.task}"
        found |= {f"{name}, known of images": f"{target.known} of {target.images}", name: target.words}
    for transfer in report.transfers:
        for row in transfer.counts:
            found[f"{transfer.target}: test subjects"] = str(row.test_subjects)
    splits = (row for row in report.provenance.hashes if row["what"].startswith("split of "))
    return found | {row["what"]: row["fingerprint"] for row in splits}


def version_facts(side: Side) -> dict[str, str]:
    """Packages, commit, code and machine, with the command."""
    made = side.report.provenance
    return ({"command": made.typed} if made.typed else {}) | made.environment


def precision_facts(side: Side) -> dict[str, str]:
    """What each stage was computed in."""
    found: dict[str, list[str]] = {}
    for row in side.report.provenance.precision:
        found.setdefault(f"{row['stage']}, {row['of']}", []).append(row["computed_in"])
    return {key: " / ".join(values) for key, values in found.items()}


def _flat(value: object, where: str) -> Iterable[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{where}.{key}" if where else str(key))
    else:
        yield where, _plain(value)


def _plain(value: object) -> str:
    """As YAML has it on one line."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return value if value else "''"
        case Mapping():
            return f"{{{', '.join(f'{key}: {_plain(inner)}' for key, inner in value.items())}}}"
        case list() | tuple():
            return f"[{', '.join(map(_plain, value))}]"
        case _:
            return str(value)
