"""Study results sorted into contests: one for each source, target and encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from pydantic import ValidationError

from ctlr.errors import DataError
from ctlr.report.numbers.predictions import Predictions, read_predictions
from ctlr.specs import DataTask, EncoderSpec, LayerRole, StoredArrays, StudyResult, TaskSpec, dns_name, layer_role

__all__ = ["Contest", "Done", "contests", "load"]


@dataclass(frozen=True)
class Done:
    """A finished study with its predictions by split."""

    result: StudyResult
    predictions: Mapping[str, Predictions]
    unit: str = ""
    """Of the target, where its dataset says one."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """One transfer on one encoder, and who took part.

    Methods that use no source stand in every contest of their target.
    """

    slug: str
    target: DataTask
    source: DataTask | None
    encoder: EncoderSpec
    results: tuple[StudyResult, ...]
    """Failed ones too."""
    cells: Mapping[tuple[str, int], tuple[Done, ...]] = field(repr=False)
    """(method, n_train) -> finished studies in order of seed; no cell is empty."""
    name_data: bool = False
    """Whether the title names the datasets in any case: another contest has the same tasks."""

    @property
    def task(self) -> TaskSpec:
        """The target task."""
        return self.target.task

    @property
    def unit(self) -> str:
        """Of a regression's target, where its dataset says one; else empty."""
        return next((done.unit for done in self.done), "") if self.task.kind == "regression" else ""

    @property
    def title(self) -> str:
        """`age, transfer from sex`, with datasets where source and target differ in them."""
        target, source = self.target, self.source
        if source is None:
            return f"{target.task.name} ({target.data.name})" if self.name_data else target.task.name
        if source.data.name == target.data.name and not self.name_data:
            return f"{target.task.name}, transfer from {source.task.name}"
        return f"{target.task.name} ({target.data.name}), transfer from {source.task.name} ({source.data.name})"

    @property
    def methods(self) -> tuple[str, ...]:
        """Labels: the mean predictor, references, the baseline, then the others in the order of the benchmark."""
        first = dict.fromkeys(label for label in (self.floor, *self.references, self.baseline) if label)
        return tuple(first | dict.fromkeys(result.study.method.label for result in self.results))

    @property
    def contenders(self) -> tuple[str, ...]:
        """Methods that are held against the baseline."""
        apart = (self.baseline, self.floor, *self.references)
        return tuple(label for label in self.methods if label not in apart)

    @property
    def references(self) -> tuple[str, ...]:
        """Labels of what trains no network on the target and stands beside the methods: the benchmark's `baselines`."""
        studies = [result.study for result in self.results]
        return tuple(dict.fromkeys(study.method.label for study in studies if study.method.role == "baseline"))

    @property
    def transfers(self) -> bool:
        """Whether methods differ from the baseline in more than their options."""
        others = {type(result.study.method) for result in self.results if result.study.method.label in self.contenders}
        own = {type(result.study.method) for result in self.results if result.study.method.label == self.baseline}
        return others != own

    @property
    def rival(self) -> str:
        """What methods are held against, in a sentence."""
        return "training from scratch" if self.transfers else f"‘{self.baseline}’"

    @property
    def baseline(self) -> str | None:
        """Label of the training from scratch."""
        return self._first("scratch")

    @property
    def floor(self) -> str | None:
        """Label of the mean or majority predictor."""
        return self._first("mean")

    @property
    def covariates(self) -> str | None:
        """Label of what reads the task's columns alone."""
        return self._first("covariates")

    def _first(self, method: str) -> str | None:
        labels = dict.fromkeys(r.study.method.label for r in self.results if r.study.method.method == method)
        return method if method in labels else next(iter(labels), None)

    @property
    def layer_roles(self) -> dict[str, LayerRole]:
        """Label -> place, of the methods that belong to a layer transfer."""
        methods = {result.study.method.label: result.study.method for result in self.results}
        return {label: role for label, method in methods.items() if (role := layer_role(method)) is not None}

    @property
    def sizes(self) -> tuple[int, ...]:
        """Every n_train, ascending."""
        return tuple(sorted({result.study.n_train for result in self.results}))

    def labelled(self, size: int) -> str:
        """Labelled subjects behind n_train in words, training and validation ones: `20 + 20`."""
        found = [result for result in self.results if result.study.n_train == size]
        return next((result for result in found if result.n_validation is not None), found[0]).labelled

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed, ascending."""
        return tuple(sorted({result.study.seed for result in self.results}))

    @property
    def done(self) -> tuple[Done, ...]:
        """Every finished study."""
        return tuple(study for cell in self.cells.values() for study in cell)


def load(results: Sequence[StudyResult], root: Path) -> list[StudyResult | Done]:
    """Read the predictions of the finished studies below `root`, and the units of their targets.

    A study whose predictions cannot be read has failed, with that as its reason: the others go on.
    """
    units = cache(lambda arrays: _units(root / "arrays" / arrays / "stored.json"))
    loaded: list[StudyResult | Done] = []
    for result in results:
        if result.status == "failed":
            loaded.append(result)
            continue
        try:
            file = root / result.path / "predictions.csv"
            predictions = read_predictions(file, result.study.target.task.kind)
            loaded.append(Done(result, predictions, units(result.arrays).get(result.study.target.task.target, "")))
        except DataError as error:
            loaded.append(result.model_copy(update={"status": "failed", "reason": error.reason}))
    return loaded


def _units(stored: Path) -> dict[str, str]:
    """Column -> units of a dataset, as they were stored with its images."""
    try:
        return StoredArrays.model_validate_json(stored.read_bytes()).units
    except (OSError, ValidationError):
        return {}


def contests(loaded: Sequence[StudyResult | Done]) -> list[Contest]:
    """Group by target, encoder and source, in the order of the results."""
    targets: dict[tuple[str, str], list[StudyResult | Done]] = {}
    common: dict[str, list[StudyResult | Done]] = {}
    for item in loaded:
        study = _result(item).study
        target = study.target.identity()
        if not study.method.has_encoder:
            common.setdefault(target, []).append(item)
            continue
        # By its label: tuning may have given an encoder other options at each size.
        targets.setdefault((target, study.encoder.label or study.encoder.identity()), []).append(item)
    for target, items in common.items():
        # What has no encoder was run once and stands beside every one of them.
        beside = [key for key in targets if key[0] == target] or [(target, "")]
        targets |= {key: [*items, *targets.get(key, [])] for key in beside}
    found = [
        _contest([item for item in group if _result(item).study.source in (None, source)], source)
        for group in targets.values()
        for source in _sources(group)
    ]
    return _with_slugs(_with_titles(found))


def _with_titles(found: Sequence[Contest]) -> list[Contest]:
    """Name the datasets where contests of one encoder would have the same title."""
    titles = [(contest.title, contest.encoder.label) for contest in found]
    return [
        replace(contest, name_data=True) if titles.count(title) > 1 else contest
        for contest, title in zip(found, titles, strict=True)
    ]


def _sources(group: Sequence[StudyResult | Done]) -> list[DataTask | None]:
    """Every source, in order of appearance; None alone where no method uses one."""
    found = {source.identity(): source for item in group if (source := _result(item).study.source) is not None}
    return list(found.values()) or [None]


def _result(item: StudyResult | Done) -> StudyResult:
    return item.result if isinstance(item, Done) else item


def _contest(items: Sequence[StudyResult | Done], source: DataTask | None) -> Contest:
    study = _result(next((item for item in items if _result(item).study.method.has_encoder), items[0])).study
    cells: dict[tuple[str, int], list[Done]] = {}
    for item in items:
        if isinstance(item, Done):
            cells.setdefault((item.result.study.method.label, item.result.study.n_train), []).append(item)
    ordered = {key: tuple(sorted(cell, key=lambda done: done.result.study.seed)) for key, cell in cells.items()}
    slug = dns_name(f"{study.target.task.name}{f'-from-{source.task.name}' if source else ''}-{study.encoder.label}")
    return Contest(
        slug=slug, target=study.target, source=source, encoder=study.encoder,
        results=tuple(_result(item) for item in items), cells=ordered,
    )  # fmt: skip


def _with_slugs(found: Sequence[Contest]) -> list[Contest]:
    """Number the contests whose names are the same (two datasets with a task `age`)."""
    slugs = [contest.slug for contest in found]
    return [
        Contest(**vars(contest) | {"slug": f"{contest.slug}-{slugs[:index].count(contest.slug) + 1}"})
        if slugs.count(contest.slug) > 1
        else contest
        for index, contest in enumerate(found)
    ]
