import itertools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ctlr.encoders import build_encoder, build_head
from ctlr.encoders.base import Encoder
from ctlr.errors import TrainingError
from ctlr.methods.base import Batch, Objective
from ctlr.methods.losses import TaskLoss
from ctlr.methods.supervised import Supervised
from ctlr.specs import ComputeSpec, EncoderSpec, FitSpec, ViewsSpec
from ctlr.training.fit import Fitted, Validation, fit
from ctlr.training.images import Images, Labelled
from ctlr.training.optimisers import OPTIMISERS, make_optimiser
from ctlr.training.placement import Placement, place

CPU = torch.device("cpu")
PLAIN = Placement(CPU, None, torch.contiguous_format)


class Interrupted(Exception):
    """Stands for a kill between two epochs."""


@pytest.fixture(autouse=True)
def _nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every epoch, however short it is."""
    monkeypatch.setattr("ctlr.training.fit._LOSS", 0.0)


def rows(n: int = 10, side: int = 32) -> Labelled:
    rng = torch.Generator().manual_seed(0)
    images = torch.randn(n, 1, side, side, generator=rng)
    return Labelled(Images.of(images, CPU), images.mean((1, 2, 3)) * side)


def network(seed: int = 0, dropout: float = 0.3) -> Supervised:
    encoder = build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=2, seed=seed)
    return Supervised(
        encoder,
        build_head(encoder.width, 1, dropout=dropout, seed=seed),
        TaskLoss(classes=0),
        views=ViewsSpec(noise=0.1),
    )


def run(
    folder: Path,
    spec: FitSpec,
    *,
    placement: Placement = PLAIN,
    validate: Callable[[], Validation] | None = None,
    stop_after: int | None = None,
    seed: int = 0,
    **options: Any,
) -> tuple[Fitted, dict[str, Tensor]]:
    folder.mkdir(exist_ok=True)
    objective = network()

    def progress(epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        if epoch == stop_after:
            raise Interrupted

    fitted = fit(
        objective, {"labelled": rows()}, spec=spec, seed=seed, placement=placement, folder=folder, validate=validate,
        progress=progress, **options,
    )  # fmt: skip
    return fitted, {name: tensor.clone() for name, tensor in objective.networks.state_dict().items()}


def judge(scores: list[float]) -> Callable[[], Validation]:
    """Validation scores as given, epoch after epoch."""
    given = iter(scores)
    return lambda: Validation(next(given), 0.0, {"mae": 1.0})


@pytest.mark.parametrize(
    ("optimiser", "precision"), [*((name, "float32") for name in OPTIMISERS), ("adamw", "bf16"), ("momentum", "bf16")]
)
def test_an_interrupted_stage_ends_with_the_same_numbers_as_an_uninterrupted_one(
    tmp_path: Path, optimiser: str, precision: str
) -> None:
    spec = FitSpec.model_validate({"epochs": 4, "batch_size": 4, "optimiser": optimiser, "dropout": 0.3})
    placement = place(network().encoder, ComputeSpec.model_validate({"precision": precision}), "cpu", (1, 32, 32))
    whole, weights = run(tmp_path / "whole", spec, placement=placement)
    for stop in (1, 3):
        with pytest.raises(Interrupted):
            run(tmp_path / "cut", spec, placement=placement, stop_after=stop)
    resumed, same = run(tmp_path / "cut", spec, placement=placement)
    assert all(torch.equal(weights[name], same[name]) for name in weights)
    assert [row["train_loss"] for row in resumed.history] == [row["train_loss"] for row in whole.history]
    assert resumed.samples == whole.samples == 40


def test_the_best_epochs_weights_are_kept_also_across_an_interruption(tmp_path: Path) -> None:
    spec = FitSpec(epochs=4, batch_size=4)
    best, weights = run(tmp_path / "two", FitSpec(epochs=4, batch_size=4), validate=judge([1, 5, 3, 2]))
    assert (best.best_epoch, best.epochs, best.kept_scores) == (2, 4, {"mae": 1.0})
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", spec, validate=judge([1, 5, 3]), stop_after=3)
    resumed, same = run(tmp_path / "cut", spec, validate=judge([2]))
    assert resumed.best_epoch == 2
    assert all(torch.equal(weights[name], same[name]) for name in weights)


@pytest.mark.parametrize("scores", [[1.0, 5.0, 3.0], [1.0, 3.0, 5.0]])
def test_a_training_of_less_than_a_second_writes_nothing_and_ends_the_same(
    tmp_path: Path, scores: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = FitSpec(epochs=3, batch_size=4)
    written, weights = run(tmp_path / "written", spec, validate=judge(scores))
    assert {path.name for path in (tmp_path / "written").iterdir()} == {"best.safetensors", "checkpoint.safetensors"}
    monkeypatch.setattr("ctlr.training.fit._LOSS", 3600.0)
    kept, same = run(tmp_path / "kept", spec, validate=judge(scores))
    assert not list((tmp_path / "kept").iterdir())
    assert kept.best_epoch == written.best_epoch
    assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_what_a_checkpoint_did_not_hold_yet_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best epoch came after the last checkpoint: its weights were lost with it."""
    spec = FitSpec(epochs=4, batch_size=4)
    whole, weights = run(tmp_path / "whole", spec, validate=judge([1, 2, 9, 3]))

    def told(epoch: int, epochs: int, row: Mapping[str, float]) -> None:
        monkeypatch.setattr("ctlr.training.fit._LOSS", 3600.0)  # one checkpoint, after the first epoch
        if epoch == 3:
            raise Interrupted

    (tmp_path / "cut").mkdir()
    options = {"spec": spec, "seed": 0, "placement": PLAIN, "folder": tmp_path / "cut", "progress": told}
    with pytest.raises(Interrupted):
        fit(network(), {"labelled": rows()}, validate=judge([1, 2, 9]), **options)
    resumed, same = run(tmp_path / "cut", spec, validate=judge([2, 9, 3]))
    assert (resumed.best_epoch, resumed.samples) == (whole.best_epoch, whole.samples) == (3, 40)
    assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_the_last_epochs_weights_stay_where_validation_is_not_to_choose(tmp_path: Path) -> None:
    spec = FitSpec(epochs=3, batch_size=4)
    fitted, weights = run(tmp_path / "last", spec, validate=judge([1, 5, 3]), keep_best=False)
    assert (fitted.best_epoch, fitted.epochs) == (2, 3)
    _, unjudged = run(tmp_path / "plain", spec)
    assert all(torch.equal(weights[name], unjudged[name]) for name in weights)


@pytest.mark.parametrize(
    ("keep", "patience", "watching", "best"),
    [("auto", None, 99, False), ("auto", None, 100, True), ("auto", 3, 25, True), ("best", None, 2, True),
     ("last", None, 500, False)],
)  # fmt: skip
def test_a_hundred_subjects_or_patience_choose_the_epoch_unless_the_file_says_otherwise(
    keep: str, patience: int | None, watching: int, best: bool
) -> None:
    spec = FitSpec.model_validate({"keep": keep, "patience": patience})
    assert spec.keeps_best(watching) is best


def test_a_replay_makes_the_chosen_weights_again_without_validation(tmp_path: Path) -> None:
    spec = FitSpec(epochs=5, batch_size=4, patience=2)
    chosen, weights = run(tmp_path / "first", spec, validate=judge([1, 2, 9, 3, 4]))
    assert chosen.kept_path == [[0, 3, 5]]
    again, same = run(tmp_path / "again", spec, replay=chosen.kept_path)
    assert (again.epochs, chosen.best_epoch) == (3, 3)
    assert [row["lr"] for row in again.history] == [row["lr"] for row in chosen.history[:3]]
    assert all(torch.equal(weights[name], same[name]) for name in weights)


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "best.safetensors"])
@pytest.mark.parametrize("how", ["empty", "cut", "zeros"])
def test_a_stage_whose_checkpoint_a_power_cut_took_begins_anew(tmp_path: Path, name: str, how: str) -> None:
    spec, scores = FitSpec(epochs=4, batch_size=4), [1.0, 5.0, 3.0, 2.0]
    whole, weights = run(tmp_path / "whole", spec, validate=judge(scores))
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", spec, validate=judge(scores), stop_after=3)
    data = (tmp_path / "cut" / name).read_bytes()
    (tmp_path / "cut" / name).write_bytes({"empty": b"", "cut": data[:-9], "zeros": bytes(len(data))}[how])
    resumed, same = run(tmp_path / "cut", spec, validate=judge(scores))
    assert (resumed.best_epoch, resumed.epochs) == (whole.best_epoch, whole.epochs) == (2, 4)
    assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_patience_counts_epochs_since_the_best_one(tmp_path: Path) -> None:
    fitted, _ = run(tmp_path / "a", FitSpec(epochs=9, patience=2), validate=judge([1, 2, 2, 2, 9]))
    assert (fitted.best_epoch, fitted.epochs) == (2, 4)


def test_ties_of_the_score_go_to_the_lower_loss(tmp_path: Path) -> None:
    given = iter([Validation(1, 0.5, {}), Validation(1, 0.4, {}), Validation(1, 0.6, {})])
    fitted, _ = run(tmp_path / "a", FitSpec(epochs=3), validate=lambda: next(given))
    assert fitted.best_epoch == 2


def test_without_validation_the_last_epoch_stays(tmp_path: Path) -> None:
    fitted, _ = run(tmp_path / "a", FitSpec(epochs=3, patience=1))
    assert (fitted.best_epoch, fitted.epochs) == (3, 3)


def test_another_seed_gives_other_weights_and_the_same_one_the_same(tmp_path: Path) -> None:
    results = [run(tmp_path / str(i), FitSpec(epochs=1), seed=seed)[1] for i, seed in enumerate((0, 0, 1))]
    first, again, other = (torch.cat([t.flatten().float() for t in weights.values()]) for weights in results)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_torchs_global_state_is_left_as_it_was(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    run(tmp_path / "a", FitSpec(epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loss_that_is_no_number_stops_the_stage_and_names_the_epoch(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"training loss became (nan|inf) in epoch \d; lower `lr`"):
        run(tmp_path / "a", FitSpec(epochs=9, lr=1e20, clip=None, optimiser="sgd", schedule="constant", warmup=0))


class Line(Encoder):
    """One weight on the mean of the image."""

    def __init__(self) -> None:
        super().__init__([nn.Identity()], width=1)
        self.weight = nn.Parameter(torch.ones(1, 1))
        self.offset = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        return images.flatten(1).mean(1, keepdim=True) * self.weight + self.offset


class Push(Objective):
    """A loss whose gradient is 1000 for the weight."""

    streams = ("labelled",)

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Line()

    def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
        return 1000 * self.encoder(batches["labelled"].images).mean()


@pytest.mark.parametrize(("clip", "moved"), [(None, 1000 * math.sqrt(2)), (0.5, 0.5)])
def test_clipping_bounds_the_norm_of_the_whole_gradient(tmp_path: Path, clip: float | None, moved: float) -> None:
    objective = Push()
    ones = Labelled(Images.of(torch.ones(4, 1, 2, 2), CPU), torch.zeros(4))
    spec = FitSpec(epochs=1, lr=1.0, clip=clip, optimiser="sgd", weight_decay=0.0, schedule="constant", warmup=0)
    fit(objective, {"labelled": ones}, spec=spec, seed=0, placement=PLAIN, folder=tmp_path)
    step = torch.tensor([objective.encoder.weight.item() - 1, objective.encoder.offset.item()])
    assert float(step.norm()) == pytest.approx(moved, rel=1e-5)


def test_norms_and_biases_do_not_decay_and_frozen_weights_are_left_out() -> None:
    objective = network()
    next(objective.encoder.parameters()).requires_grad_(False)
    decaying, others = make_optimiser(objective, FitSpec(weight_decay=0.1)).param_groups
    assert decaying["weight_decay"] == 0.1
    assert others["weight_decay"] == 0
    assert all(parameter.ndim > 1 for parameter in decaying["params"])
    assert all(parameter.ndim <= 1 for parameter in others["params"])
    count = len(list(objective.networks.parameters()))
    assert len(decaying["params"]) + len(others["params"]) == count - 1


def test_an_epoch_covers_every_row_once_in_even_batches() -> None:
    images = torch.arange(10.0).view(10, 1, 1, 1)
    epoch = list(Labelled(Images.of(images, CPU), torch.arange(10)).epoch(3, 4, torch.Generator().manual_seed(0)))
    assert [len(batch.images) for batch in epoch] == [4, 3, 3]
    seen = torch.cat([batch.images.flatten() for batch in epoch])
    assert sorted(seen.tolist()) == list(range(10))
    assert torch.equal(seen.long(), torch.cat([batch.target for batch in epoch]))


def test_a_longer_epoch_starts_over_with_another_shuffle() -> None:
    images = torch.arange(4.0).view(4, 1, 1, 1)
    epoch = list(Labelled(Images.of(images, CPU)).epoch(4, 2, torch.Generator().manual_seed(0)))
    order = [batch.images.flatten().tolist() for batch in epoch]
    assert sorted(itertools.chain(*order[:2])) == sorted(itertools.chain(*order[2:])) == [0, 1, 2, 3]
    assert order[:2] != order[2:]


def test_channels_last_images_give_the_same_loss(tmp_path: Path) -> None:
    last = Placement(CPU, None, torch.channels_last)
    plain, _ = run(tmp_path / "plain", FitSpec(epochs=1))
    other, _ = run(tmp_path / "last", FitSpec(epochs=1), placement=last)
    assert other.history[0]["train_loss"] == pytest.approx(plain.history[0]["train_loss"], rel=1e-4)


def test_even_batches_never_leave_one_row_over() -> None:
    from ctlr.training.images import even_batches

    for n in range(1, 60):
        sizes = [len(chunk) for chunk in even_batches(np.arange(n), 16)]
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= 16
        assert sum(sizes) == n
