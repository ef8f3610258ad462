"""Studies and the pretrainings that they share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ctlr.specs._baselines import AnyMethod, UnchangedSpec
from ctlr.specs._data import DataTask, SplitSpec
from ctlr.specs._methods import (
    ComputeSpec,
    EncoderSpec,
    FinetuneSpec,
    PretrainedMethod,
    SelfferSpec,
)
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
    encoder: EncoderSpec
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
    def id(self) -> str:
        """DNS-1123 name from the content (at most 40 characters); folders' whereabouts do not count."""
        head = dns_name(f"{self.method.label}-{self.target.task.name}-n{self.n_train}-s{self.seed}", 29)
        return f"{head}-{self.identity()[:10]}"

    def identity(self) -> str:
        """Fingerprint without labels and folders: a study is the same under another name and on another machine."""
        return fingerprint(self.model_dump_json(exclude=_UNIDENTIFYING))

    def without_folders(self) -> Study:
        """The same study for records that may travel: no dataset says where it lies."""
        return self.model_copy(
            update={"target": placeless(self.target), "source": self.source and placeless(self.source)}
        )


def placeless(end: DataTask) -> DataTask:
    """The same end of a transfer without the folder that its images lie in."""
    return end.model_copy(update={"data": end.data.at("")})


class PretrainSpec(Value):
    """All that a pretraining depends on; equal ones are done once and shared."""

    source: DataTask | None
    target: DataTask
    method: AnyMethod
    encoder: EncoderSpec
    n_reserved: int
    seed: int
    split: SplitSpec
    compute: ComputeSpec
    n_train: int | None = None
    """Labelled target subjects, where it learns from them; None where it looks at none of their labels."""

    @classmethod
    def of(cls, study: Study) -> PretrainSpec | None:
        """The pretraining that a study needs; None when it needs none."""
        learned = study.method.learned_by() if isinstance(study.method, UnchangedSpec) else study.method
        if not isinstance(learned, PretrainedMethod):
            return None
        method = learned.model_copy(update={"label": "", "finetune": FinetuneSpec()})
        return cls(source=study.source, target=study.target, method=method, encoder=study.encoder,
                   n_reserved=study.n_reserved, seed=study.seed, split=study.split, compute=study.compute,
                   n_train=study.n_train if isinstance(study.method, SelfferSpec) else None)  # fmt: skip

    def identity(self) -> str:
        """Fingerprint without labels and folders."""
        return fingerprint(self.model_dump_json(exclude=_UNIDENTIFYING))
