"""Studies and the pretrainings that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ctlr.specs._data import DataTask, SplitSpec, TaskSpec
from ctlr.specs._encoders import AnyEncoder
from ctlr.specs._methods import AnyMethod, ComputeSpec, FinetuneSpec, FitSpec, Pretraining
from ctlr.specs._value import Value, dns_name, fingerprint

__all__ = ["PretrainSpec", "Study", "placeless"]

_UNIDENTIFYING: Any = {
    "target": {"data": {"root"}},
    "source": {"data": {"root"}},
    "method": {"label"},
    "encoder": {"label"},
}


class Study(Value):
    """One cell of a benchmark's grid, with all it needs."""

    target: DataTask
    source: DataTask | None = None
    """None for methods that use no source."""
    method: AnyMethod
    encoder: AnyEncoder
    n_train: Annotated[int, Field(ge=1)]
    """Labelled target subjects."""
    n_reserved: Annotated[int, Field(ge=1)]
    """Validation subjects set aside for the largest n_train: the pretraining pool leaves them all out."""
    seed: Annotated[int, Field(ge=0)]
    split: SplitSpec = SplitSpec()
    compute: ComputeSpec = ComputeSpec()

    @property
    def n_validation(self) -> int:
        """Labelled target subjects that choose the epoch (and are trained on too, where `refit` says so)."""
        return min(self.split.n_validation(self.n_train), self.n_reserved)

    @property
    def labelled(self) -> str:
        """Labelled target subjects that it asks for, in words: training and validation ones, `20 + 20`."""
        return f"{self.n_train} + {self.n_validation}"

    @property
    def learned(self) -> tuple[DataTask, ...]:
        """All that it learns from labels: the target, the source, and columns that its method names beside it."""
        if self.source is None:
            return (self.target, *self.target.others)
        columns = (
            DataTask(data=self.source.data, task=TaskSpec(name=column, target=column, kind=kind))
            for column, kind in self.method.source_columns.items()
        )
        return (self.target, *self.target.others, self.source, *columns)

    stage_name: ClassVar[Literal["finetune"]] = "finetune"

    @property
    def fit(self) -> FinetuneSpec:
        """How the target task is learned."""
        return self.method.finetune

    @property
    def id(self) -> str:
        """DNS-1123 name from the content (at most 40 characters); folders' whereabouts do not count."""
        head = dns_name(f"{self.method.label}-{self.target.task.name}-n{self.n_train}-s{self.seed}", 29)
        return f"{head}-{self.identity()[:10]}"

    def identity(self) -> str:
        """Fingerprint without labels and folders: a study is the same under another name and on another machine."""
        unidentifying = _UNIDENTIFYING | {"method": {"label", *self.method.files}}
        return fingerprint(self.model_dump_json(exclude=unidentifying))

    def without_folders(self) -> Study:
        """The same study for records that may travel: neither a dataset nor a file says where it lies."""
        files = {option: getattr(self.method, option) for option in self.method.files}
        names = {option: Path(file).name for option, file in files.items() if file is not None}
        method = self.method.model_copy(update=names) if names else self.method
        source = self.source and placeless(self.source)
        return self.model_copy(update={"target": placeless(self.target), "source": source, "method": method})


def placeless(end: DataTask) -> DataTask:
    """The same end of a transfer without the folder that its images lie in."""
    return end.model_copy(update={"data": end.data.at("")})


class PretrainSpec(Value):
    """All that a pretraining depends on; equal ones are done once and shared."""

    source: DataTask | None
    target: DataTask
    method: AnyMethod
    encoder: AnyEncoder
    n_reserved: int
    seed: int
    split: SplitSpec
    compute: ComputeSpec
    n_train: int | None = None
    """Labelled target subjects, where it learns from them; None where it looks at none of their labels."""

    @classmethod
    def of(cls, study: Study) -> PretrainSpec | None:
        """The pretraining that a study needs; None when it needs none."""
        learned = study.method.pretrained_as()
        if learned is None or learned.pretraining is None:
            return None
        method = learned.model_copy(update={"label": "", "finetune": FinetuneSpec()})
        source = study.source and study.source.alone()
        return cls(source=source, target=study.target.alone(), method=method, encoder=study.encoder,
                   n_reserved=study.n_reserved, seed=study.seed, split=study.split, compute=study.compute,
                   n_train=study.n_train if learned.pretraining.labels == "target" else None)  # fmt: skip

    def identity(self) -> str:
        """Fingerprint without labels and folders."""
        return fingerprint(self.model_dump_json(exclude=_UNIDENTIFYING))

    stage_name: ClassVar[Literal["pretrain"]] = "pretrain"

    @property
    def learns(self) -> Pretraining:
        """What it learns from."""
        assert self.method.pretraining is not None
        return self.method.pretraining

    @property
    def fit(self) -> FitSpec:
        """How it runs."""
        return self.method.stage("pretrain")
