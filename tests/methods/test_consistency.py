"""Methods of few labels and many images: weights that rise, agreement, and whose guesses count."""

import math

import pytest
import torch

from ctlr.contracts import parts_to_try
from ctlr.methods.base import Batch
from ctlr.methods.consistency import prediction_difference, ramp
from ctlr.methods.fixmatch import FixMatch, FixMatchSpec, confident_loss
from ctlr.methods.mean_teacher import MeanTeacher, MeanTeacherSpec
from ctlr.methods.pi_model import PiModel, PiModelSpec
from ctlr.methods.pseudo_label import PseudoLabel, PseudoLabelSpec
from ctlr.specs import ViewsSpec

STILL = ViewsSpec(rotate=0, translate=0, scale=0, warp=0)
IMAGES = torch.randn(6, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def test_the_weight_rises_from_e_to_the_minus_5_to_1() -> None:
    assert [ramp(done, 0.25) for done in (0.0, 0.25, 1.0)] == [math.exp(-5), 1, 1]
    assert ramp(0.125, 0.25) == pytest.approx(math.exp(-1.25))
    assert ramp(0.0, 0.0) == 1


def test_opposed_certainties_differ_by_1_and_a_regressions_values_by_their_square() -> None:
    sure = torch.tensor([[50.0, -50.0]])
    assert prediction_difference(sure, -sure, classes=2).item() == pytest.approx(1)
    assert prediction_difference(torch.tensor([[1.0]]), torch.tensor([[4.0]]), classes=0).item() == 9


def test_two_equal_views_agree() -> None:
    objective = PiModel(PiModelSpec(views=STILL), parts_to_try(3))
    assert objective.unlabelled_loss(Batch(IMAGES), torch.Generator()).item() == pytest.approx(0, abs=1e-9)


def test_the_teacher_is_the_student_after_a_step_and_then_its_average() -> None:
    objective = MeanTeacher(MeanTeacherSpec(momentum=0.99), parts_to_try())
    weight, slow = next(objective.encoder.parameters()), next(objective.teacher.buffers())
    with torch.no_grad():
        weight += 1
    objective.after_step()
    assert torch.allclose(slow, weight)
    for step, share in ((1, 0.5), (2, 1 / 3), (200, 0.01)):
        before = slow.clone()
        with torch.no_grad():
            weight.copy_(before + 1)
        objective.step = step
        objective.after_step()
        assert torch.allclose(slow, before + share, atol=1e-6)


def test_the_teacher_is_what_predicts() -> None:
    objective = MeanTeacher(MeanTeacherSpec(), parts_to_try())
    assert objective.predicts_with == (objective.teacher, objective.teacher_head)
    assert objective.teacher.state_dict().keys() == objective.encoder.state_dict().keys()


def test_guesses_count_from_the_beginning_on_and_wholly_at_the_end() -> None:
    objective = PseudoLabel(PseudoLabelSpec(begin=0.2, end=0.6), parts_to_try(4))
    for parameter in objective.head.parameters():
        torch.nn.init.zeros_(parameter)  # every class as likely: a guess costs ln 4
    costs = []
    for objective.done in (0.1, 0.4, 0.9):
        costs.append(objective.unlabelled_loss(Batch(IMAGES), torch.Generator()).item())
    assert costs == pytest.approx([0, math.log(4) / 2, math.log(4)])


def test_only_sure_rows_count_and_each_as_one_of_all() -> None:
    weak = torch.tensor([[9.0, 0.0], [0.1, 0.0]])  # probabilities 0.9999 and 0.52
    strong = torch.zeros(2, 2)
    assert confident_loss(strong, weak, 0.95).item() == pytest.approx(math.log(2) / 2)
    assert confident_loss(strong, weak, 0.5).item() == pytest.approx(math.log(2))
    assert confident_loss(strong, weak[1:].repeat(2, 1), 0.95).item() == 0


def test_labelled_and_unlabelled_losses_add_up_by_the_weight() -> None:
    batches = {"labelled": Batch(IMAGES, torch.tensor([0, 1, 2, 0, 1, 2])), "pool": Batch(IMAGES)}
    totals = []
    for weight in (0.0, 1.0, 3.0):
        objective = FixMatch(FixMatchSpec(weight=weight, threshold=0.0), parts_to_try(3))
        totals.append(objective(batches, torch.Generator().manual_seed(0)).item())
    assert totals[2] - totals[0] == pytest.approx(3 * (totals[1] - totals[0]), rel=1e-4)
