"""Mean teacher: learn from one's own slow average (Tarvainen & Valpola 2017, arXiv:1703.01780)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ctlr.methods.base import Batch, Parts, predict_outputs, random_views
from ctlr.methods.consistency import SemiSupervised, SemiSupervisedSpec, prediction_difference, ramp
from ctlr.methods.following import follow, follower
from ctlr.methods.lazily import torch
from ctlr.specs import ViewsSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MeanTeacher", "MeanTeacherSpec"]


class MeanTeacherSpec(SemiSupervisedSpec):
    """No pretraining: agree on unlabelled images with one's own slow average (Tarvainen & Valpola 2017)."""

    method: Literal["mean_teacher"] = "mean_teacher"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Of the teacher's weights; in the first steps it is 1 - 1 / (step + 1), where that is less (the paper's code)."""
    views: ViewsSpec = ViewsSpec()
    """Views of unlabelled images: one for the student, another for the teacher."""
    ramp_up: Annotated[float, Field(ge=0, le=1)] = 0.25
    """Share of the training in which the weight of the agreement rises."""

    def finetune_objective(self, parts: Parts) -> MeanTeacher:
        """Over the labelled images and the pool."""
        return MeanTeacher(self, parts)


class MeanTeacher(SemiSupervised):
    """Squared difference between the student's and the teacher's predictions; the teacher is what predicts."""

    def __init__(self, spec: MeanTeacherSpec, parts: Parts) -> None:
        super().__init__(spec, parts)
        self.spec = spec
        self.teacher, self.teacher_head = follower(self.encoder), follower(self.head)
        self.predicts_with = (self.teacher, self.teacher_head)

    def unlabelled_loss(self, pool: Batch, rng: torch.Generator) -> Tensor:
        """Scalar, in 0..2/K of K classes."""
        seen, other = (random_views(pool.images, self.spec.views, rng) for _ in range(2))
        with torch.no_grad():
            wanted = predict_outputs(self.teacher, self.teacher_head, other, columns=pool.columns)
        difference = prediction_difference(self.outputs(seen, pool.columns), wanted, classes=self.loss.classes)
        return ramp(self.done, self.spec.ramp_up) * difference

    def after_step(self) -> None:
        """Let the teacher follow."""
        momentum = min(1 - 1 / (self.step + 1), self.spec.momentum)
        follow(self.teacher, self.encoder, momentum)
        follow(self.teacher_head, self.head, momentum)
