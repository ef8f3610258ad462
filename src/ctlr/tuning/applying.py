"""What a search chose, as it stands in a benchmark's file: which keys, whether they fit, and the file with them in."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ctlr.config import BenchmarkConfig, Document, KeyPath, edited, load, nested, read_document, scalar_text, yaml_block
from ctlr.config import read_text as read_benchmark
from ctlr.errors import ConfigError, nearest
from ctlr.plan import make_plan
from ctlr.specs import Study
from ctlr.tuning.options import address_of, known_options, scalar_of, with_options

__all__ = ["Applied", "applied", "check_fit", "options_yaml", "places"]


@dataclass(frozen=True)
class Applied:
    """A benchmark's file before and after."""

    file: Path
    before: str
    after: str
    notes: tuple[str, ...] = ()
    """What a reader should know of it."""

    @property
    def diff(self) -> str:
        """What changes, as `diff -u` shows it; empty where nothing does."""
        name = str(self.file)
        old, new = (text.splitlines(keepends=True) for text in (self.before, self.after))
        lines = difflib.unified_diff(old, new, name, name, n=1)
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def places(study: Study, assignments: Mapping[str, str]) -> dict[KeyPath, str]:
    """Where each option stands in a benchmark's file, and its value's text.

    Args:
        study: Whose options they are.
        assignments: Value by option's name, as a trial had them. Full names need not be known to the study: records
            outlive options.

    Raises:
        ConfigError: The study has no option of a bare name.
    """
    found: dict[KeyPath, str] = {}
    for name, text in assignments.items():
        part, *rest = (name if "." in name else address_of(name, known_options(study), study)).split(".")
        if part == "encoder":
            where: KeyPath = ("encoders", study.encoder.label, *rest)
        else:
            where = ("methods", study.method.label, *(rest if part == "method" else (part, *rest)))
        found[where] = scalar_text(scalar_of(name, text), text)
    return found


def options_yaml(chosen: Mapping[KeyPath, str]) -> str:
    """Options by their places in a benchmark's file, as lines to copy into it."""
    return "".join(f"{line}\n" for line in yaml_block(nested(chosen)))


def check_fit(file: Path, searched: Study, samples: Iterable[Mapping[str, str]]) -> None:
    """Refuse options that a benchmark's method does not take, or that were chosen for another encoder.

    Args:
        file: The benchmark.
        searched: The study that the search tuned.
        samples: Value by option's name, of trials that the search may make.

    Raises:
        ConfigError: Names every fault with file and line, and the remedy.
    """
    _fitted(file, read_benchmark(file), searched, list(samples))


def applied(file: Path, searched: Study, assignments: Mapping[str, str]) -> Applied:
    """A benchmark's file with options of a search in place; all else of it stays as it is. Nothing is written yet.

    Raises:
        ConfigError: They do not fit, as in `check_fit`, or the file would break a rule with them.
    """
    before = read_benchmark(file)
    config, study = _fitted(file, before, searched, [assignments])
    values = places(study, assignments)
    after = edited(before, values, name=str(file))
    load(file, text=after)
    return Applied(file, before, after, tuple(_notes(file, config, study, values)))


def _fitted(
    file: Path, text: str, searched: Study, samples: Sequence[Mapping[str, str]]
) -> tuple[BenchmarkConfig, Study]:
    """The benchmark, and the study of it whose method takes the options."""
    config, document = load(file, text=text), read_document(file, text=text)
    label, encoder = searched.method.label, searched.encoder.label
    if label not in (document.data.get("methods") or {}):
        document.fault(("methods",), _no_method(label, config, document))
        document.raise_faults()
    studies = [study for study in make_plan(config).studies if study.method.label == label]
    if not studies:
        document.fault(
            ("methods", label), "takes part in no transfer, so that it has no options to set. Name it there."
        )
        document.raise_faults()
    study = next((each for each in studies if each.encoder.label == encoder), studies[0])
    kind, there = searched.method.method, study.method.method
    if kind != there:
        told = f"is a {there} here, and the search tuned a {kind}. Apply it to a file that has one."
        document.fault(("methods", label), told)
    if searched.method.has_encoder:
        chosen = {name.split(".")[1] for sample in samples for name in sample if name.startswith("encoder.")}
        for where, told in _of_another_encoder(config, searched, chosen):
            document.fault(where, told)
    document.raise_faults()
    for sample in samples:
        try:
            with_options(study, sample)
        except ConfigError as error:
            for told in str(error).splitlines():
                document.fault(("methods", label), told)
    document.raise_faults()
    return config, study


def _no_method(label: str, config: BenchmarkConfig, document: Document) -> str:
    if label in config.methods:
        return f"{label!r} comes of a sweep or a layer transfer, and has no options of its own. Give it a key here."
    known = nearest(label, document.data["methods"])
    return f"has no {label!r}, which the search tuned. {known} Add it, or name its file."


def _of_another_encoder(
    config: BenchmarkConfig, searched: Study, chosen: Collection[str]
) -> Iterator[tuple[KeyPath, str]]:
    """Where a benchmark's encoder is not the one with which options were chosen, but for those of its own that were."""
    label = searched.encoder.label
    if label not in config.encoders:
        yield ("encoders",), f"has no {label!r}, with which the options were chosen. {nearest(label, config.encoders)}"
        return
    here, then = (each.model_dump(mode="json") for each in (config.encoders[label], searched.encoder))
    if here["name"] != then["name"]:
        told = (
            f"is a {here['name']} here, and was a {then['name']} in the search. Search with this file, or name another."
        )
        yield ("encoders", label), told
        return
    for key, value in then.items():
        if key not in ("label", "plugin", *chosen) and here.get(key) != value:
            told = f"is {here.get(key)} here, and was {value} in the search. Make it {value}, or search with this file."
            yield ("encoders", label, key), told


def _notes(file: Path, config: BenchmarkConfig, study: Study, values: Mapping[KeyPath, str]) -> Iterator[str]:
    label = study.method.label
    if config.tuning is not None and label not in config.tuning.by_hand:
        yield (
            f"`ctlr run {file}` searches {label} anew, since the file has a section `tuning`; `by_hand: [{label}]` in "
            "it keeps these options."
        )
    if len(config.methods) > 1 and any(where[0] == "encoders" for where in values):
        yield f"encoders.{study.encoder.label} is the encoder of every method, not of {label} alone."
    elif len(config.encoders) > 1 and study.method.has_encoder:
        yield f"The options hold for every encoder of the file; they were chosen with {study.encoder.label}."
