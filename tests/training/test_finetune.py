"""Strategies, by what they change over a whole run: which layers move, at which rates, and what stays bit for bit."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from ctlr.contracts import GivenParts
from ctlr.encoders import build_encoder, build_head
from ctlr.errors import ConfigError
from ctlr.methods.base import Batch, Objective
from ctlr.methods.losses import TaskLoss
from ctlr.methods.supervised import Supervised
from ctlr.methods.vat import VAT, VATSpec
from ctlr.specs import ENCODERS, EncoderSpec, FinetuneSpec, ViewsSpec, encoder_spec, epochs_needed, finetune_stages
from ctlr.training.checkpoint import check_encoder, encoder_record
from ctlr.training.finetune import l2_sp, prepare, train_groups
from ctlr.training.fit import Fitted, Validation, fit
from ctlr.training.images import Images, Labelled
from ctlr.training.optimisers import OPTIMISERS, layer_groups, make_optimiser
from ctlr.training.placement import Placement
from ctlr.training.schedules import rate_factor

CPU = torch.device("cpu")
PLAIN = Placement(CPU, None, torch.contiguous_format)
ALL = {0, 1, 2, 3, 4}
"""Layer groups of the small CNN: four blocks and the head."""


def rows(n: int = 8) -> Labelled:
    images = torch.randn(n, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    return Labelled(Images.of(images, CPU), images.mean((1, 2, 3)) * 32)


def network(method: str = "supervised") -> Objective:
    encoder = build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=2, seed=0)
    head, loss = build_head(encoder.width, 1, dropout=0.1, seed=0), TaskLoss(classes=0)
    return VAT(VATSpec(), GivenParts(encoder, head, loss)) if method == "vat" else Supervised(encoder, head, loss)


def finetuning(**options: object) -> FinetuneSpec:
    plain = {"epochs": 12, "batch_size": 4, "lr": 1e-2, "warmup": 0.5}
    return FinetuneSpec.model_validate(plain | options)


def ever_better() -> Callable[[], Validation]:
    scores = itertools.count(1.0)
    return lambda: Validation(next(scores), 0.0, {"mae": 1.0})


def scored(scores: list[float]) -> Callable[[], Validation]:
    given = iter(scores)
    return lambda: Validation(next(given), 0.0, {"mae": 1.0})


@dataclass
class Watched:
    """What every step of a run did.

    Attributes:
        moved: Layer groups whose weights the step changed.
        normed: Blocks whose batch-norm statistics changed before it.
        rates: Rate of each layer group; None where it is in no optimiser.
    """

    moved: list[set[int]] = field(default_factory=list)
    normed: list[set[int]] = field(default_factory=list)
    rates: list[list[float | None]] = field(default_factory=list)
    fitted: Fitted = field(default_factory=Fitted)


@contextmanager
def watching(objective: Objective) -> Iterator[Watched]:
    watched = Watched()
    layers = layer_groups(objective)
    blocks = objective.encoder.blocks

    def weights() -> list[Tensor]:
        return [torch.cat([p.detach().flatten() for p in layer]).clone() for layer in layers]

    def statistics() -> list[Tensor]:
        return [torch.cat([b.flatten().float() for b in block.buffers()]).clone() for block in blocks]

    kept: dict[str, list[Tensor]] = {"statistics": statistics()}

    def before(optimiser: torch.optim.Optimizer, *_: Any) -> None:
        kept["weights"], now = weights(), statistics()
        watched.normed.append({i for i, old in enumerate(kept["statistics"]) if not torch.equal(old, now[i])})
        kept["statistics"] = now
        rate = {p: group["lr"] for group in optimiser.param_groups for p in group["params"]}
        assert all(len({rate.get(p) for p in layer}) == 1 for layer in layers)
        watched.rates.append([rate.get(layer[0]) for layer in layers])

    def after(*_: Any) -> None:
        now = weights()
        watched.moved.append({i for i, old in enumerate(kept["weights"]) if not torch.equal(old, now[i])})

    hooks = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
    yield watched
    for hook in hooks:
        hook.remove()


def run(
    folder: Path, spec: FinetuneSpec, method: str = "supervised", validate: Callable[[], Validation] | None = None
) -> tuple[Objective, Watched]:
    folder.mkdir(exist_ok=True)
    objective = network(method)
    with watching(objective) as watched:
        watched.fitted = fit(
            objective, {"labelled": rows(), "pool": rows()}, spec=spec, seed=0, placement=PLAIN, folder=folder,
            validate=validate or ever_better(),
        )  # fmt: skip
    return objective, watched


def bits(objective: Objective) -> list[Tensor]:
    return [tensor.clone() for tensor in objective.networks.state_dict().values()]


# ---------------------------------------------------------------- what moves

LEARNING: dict[str, tuple[dict[str, object], list[set[int]]]] = {
    "full": ({}, [ALL] * 12),
    "freeze-2": ({"n_frozen": 2}, [{2, 3, 4}] * 12),
    "freeze-all": ({"n_frozen": 4}, [{4}] * 12),
    "discriminative": ({"strategy": "discriminative"}, [ALL] * 12),
    "linear probe": ({"strategy": "linear_probe"}, [{4}] * 12),
    "probe then full": ({"strategy": "probe_then_full"}, [{4}] * 6 + [ALL] * 6),
    "probe then freeze-3": (
        {"strategy": "probe_then_full", "n_frozen": 3, "stage_epochs": 2}, [{4}] * 2 + [{3, 4}] * 10
    ),
    "gradual": ({"strategy": "gradual"}, [{4}, {3, 4}, {2, 3, 4}, {1, 2, 3, 4}] + [ALL] * 8),
    "gradual by two above 2": (
        {"strategy": "gradual", "stage_epochs": 2, "n_frozen": 2}, [{4}] * 2 + [{3, 4}] * 2 + [{2, 3, 4}] * 8
    ),
    "chain-thaw": ({"strategy": "chain_thaw"}, [{4}] * 2 + [{0}] * 2 + [{1}] * 2 + [{2}] * 2 + [{3}] * 2 + [ALL] * 2),
    "chain-thaw above 2": (
        {"strategy": "chain_thaw", "n_frozen": 2, "stage_epochs": 1}, [{4}, {2}, {3}] + [{2, 3, 4}] * 9
    ),
}  # fmt: skip
"""Options, and the layer groups that learn in each of twelve epochs."""


@pytest.mark.parametrize("method", ["supervised", "vat"])
@pytest.mark.parametrize("name", LEARNING)
def test_those_layers_move_that_the_strategy_names_and_no_others(name: str, method: str, tmp_path: Path) -> None:
    options, expected = LEARNING[name]
    _, watched = run(tmp_path, finetuning(**options), method)
    assert watched.moved == [groups for groups in expected for _ in range(2)]
    assert watched.normed == [groups - {4} for groups in watched.moved]


@pytest.mark.parametrize("strategy", ["full", "gradual", "chain_thaw"])
def test_no_gradient_is_computed_below_the_lowest_layer_that_learns(strategy: str, tmp_path: Path) -> None:
    objective = network()
    lowest: list[int] = []
    maps: list[bool] = []
    for block in objective.encoder.blocks:
        block.register_forward_hook(lambda _, __, out: maps.append(out.requires_grad))

    def tell(*_: Any) -> None:
        learning = [i for i, layer in enumerate(layer_groups(objective)) if any(p.grad is not None for p in layer)]
        lowest.append(min(learning))
        assert maps[-4:] == [block >= lowest[-1] for block in range(4)]

    hook = register_optimizer_step_pre_hook(tell)
    spec = finetuning(strategy=strategy, n_frozen=1, epochs=6)
    fit(objective, {"labelled": rows()}, spec=spec, seed=0, placement=PLAIN, folder=tmp_path)
    hook.remove()
    by_epoch = {"full": [1] * 6, "gradual": [4, 3, 2, 1, 1, 1], "chain_thaw": [4, 1, 2, 3, 1, 1]}[strategy]
    assert lowest[::2] == by_epoch


def test_frozen_statistics_stay_while_the_weights_of_norms_learn(tmp_path: Path) -> None:
    objective, watched = run(tmp_path, finetuning(norm_statistics="frozen", epochs=2))
    assert watched.moved == [ALL] * 4
    assert watched.normed == [set()] * 4
    norm = next(m for m in objective.networks.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert not torch.equal(norm.weight, torch.ones_like(norm.weight))
    assert torch.equal(norm.running_var, torch.ones_like(norm.running_var))


# ---------------------------------------------------------------- at which rates


@pytest.mark.parametrize(
    ("options", "ratio"),
    [({}, 1.0), ({"w": 1.0}, 1.0), ({"w": 0.5}, 0.5), ({"strategy": "discriminative"}, 0.3),
     ({"strategy": "discriminative", "w": 0.7}, 0.7)],
)  # fmt: skip
def test_each_layer_has_a_share_of_the_next_ones_rate_at_every_step(
    options: dict[str, object], ratio: float, tmp_path: Path
) -> None:
    spec = finetuning(epochs=3, **options)
    _, watched = run(tmp_path, spec)
    for step, rates in enumerate(watched.rates):
        head = spec.lr * rate_factor(step, spec, total=6, epoch=2)
        assert rates == pytest.approx([head * ratio ** (4 - group) for group in range(5)], rel=1e-12)
    assert [row["lr"] for row in watched.fitted.history] == [rates[-1] for rates in watched.rates[1::2]]


@pytest.mark.parametrize("schedule", ["constant", "step", "warm_restarts", "triangular", "one_cycle"])
@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_strategies_combine_with_every_optimiser_and_schedule(optimiser: str, schedule: str, tmp_path: Path) -> None:
    spec = finetuning(
        strategy="gradual", w=0.5, n_frozen=3, epochs=3, optimiser=optimiser, schedule=schedule, cycle=1.0
    )
    _, watched = run(tmp_path, spec)
    assert watched.moved == [{4}] * 2 + [{3, 4}] * 4
    heads = [spec.lr * rate_factor(step, spec, total=6, epoch=2) for step in range(6)]
    assert [rates[4] for rates in watched.rates] == pytest.approx(heads, rel=1e-12)
    assert [rates[3] for rates in watched.rates] == pytest.approx([0.5 * head for head in heads], rel=1e-12)
    assert [rates[:3] for rates in watched.rates] == [[None] * 3] * 6


def test_a_fresh_stage_begins_with_the_schedules_first_step_and_gradual_goes_on(tmp_path: Path) -> None:
    plain = {"schedule": "cosine", "warmup": 0, "epochs": 8}
    _, probed = run(tmp_path / "probe", finetuning(strategy="probe_then_full", **plain))
    rates = [rates[4] for rates in probed.rates]
    assert rates[:8] == rates[8:]
    assert rates[0] == 1e-2
    _, thawed = run(tmp_path / "gradual", finetuning(strategy="gradual", **plain))
    _, whole = run(tmp_path / "full", finetuning(**plain))
    assert [rates[4] for rates in thawed.rates] == [rates[4] for rates in whole.rates]


@pytest.mark.parametrize(
    ("optimiser", "name", "ends"),
    [("momentum", "momentum", (0.95, 0.85)), ("adamw", "betas", ((0.95, 0.999), (0.85, 0.999)))],
)
def test_one_cycle_lowers_the_momentum_where_the_rate_is_high(
    optimiser: str, name: str, ends: tuple[object, object], tmp_path: Path
) -> None:
    seen: list[object] = []
    hook = register_optimizer_step_pre_hook(lambda opt, *_: seen.append(opt.param_groups[0][name]))
    run(tmp_path, finetuning(schedule="one_cycle", epochs=10, warmup=0, optimiser=optimiser))
    hook.remove()
    assert (seen[0], seen[5]) == ends
    assert seen[-1] == ends[0]


def test_a_ratio_of_one_changes_no_bit(tmp_path: Path) -> None:
    plain, _ = run(tmp_path / "a", finetuning(epochs=2))
    said, _ = run(tmp_path / "b", finetuning(epochs=2, w=1.0))
    assert all(map(torch.equal, bits(plain), bits(said)))


# ---------------------------------------------------------------- again


def replayed(folder: Path, spec: FinetuneSpec, first: Fitted) -> tuple[Objective, Watched]:
    folder.mkdir()
    objective = network()
    with watching(objective) as watched:
        watched.fitted = fit(
            objective, {"labelled": rows()}, spec=spec, seed=0, placement=PLAIN, folder=folder, replay=first.kept_path
        )
    return objective, watched


def test_a_replay_goes_through_the_stages_that_a_plateau_ended(tmp_path: Path) -> None:
    spec = finetuning(strategy="gradual", plateau=1, stage_epochs=3, epochs=13)
    objective, first = run(tmp_path / "a", spec, validate=scored([1, 0, 2, 3, 0, 9, 8, 7, 6, 5, 4, 3, 2]))
    assert first.fitted.best_epoch == 6
    assert [row["stage"] for row in first.fitted.history[:6]] == [1, 1, 2, 2, 2, 3]
    same, again = replayed(tmp_path / "b", spec, first.fitted)
    assert [row["stage"] for row in again.fitted.history] == [1, 1, 2, 2, 2, 3]
    assert again.rates == first.rates[:12]
    assert all(map(torch.equal, bits(objective), bits(same)))


def test_a_replay_leaves_out_epochs_that_a_fresh_stage_threw_away(tmp_path: Path) -> None:
    spec = finetuning(strategy="probe_then_full", stage_epochs=3, epochs=8)
    _, first = run(tmp_path / "a", spec, validate=scored([1, 5, 2, 3, 6, 9, 1, 1]))
    assert first.fitted.kept_path == [[0, 2, 3], [1, 3, 5]]  # two of three epochs, then three of five
    _, again = replayed(tmp_path / "b", spec, first.fitted)
    assert again.moved == [{4}] * 4 + [ALL] * 6
    assert again.rates == [*first.rates[:4], *first.rates[6:12]]


# ---------------------------------------------------------------- when


def stages_seen(watched: Watched) -> list[float]:
    return [row["stage"] for row in watched.fitted.history]


def test_a_plateau_ends_a_stage_before_its_time(tmp_path: Path) -> None:
    spec = finetuning(strategy="gradual", n_frozen=3, plateau=2, epochs=10)
    _, watched = run(tmp_path, spec, validate=scored([1, 2, 2, 2, 3, 4, 5, 6, 7, 8]))
    assert stages_seen(watched) == [1, 1, 1, 1, *[2] * 6]
    capped = finetuning(strategy="gradual", n_frozen=3, plateau=5, stage_epochs=3, epochs=10)
    _, watched = run(tmp_path / "capped", capped, validate=scored([1] * 10))
    assert stages_seen(watched) == [1, 1, 1, *[2] * 7]


def test_patience_runs_in_the_last_stage_alone(tmp_path: Path) -> None:
    spec = finetuning(strategy="probe_then_full", stage_epochs=4, patience=2, epochs=10)
    _, watched = run(tmp_path, spec, validate=scored([5, *[1] * 9]))
    assert stages_seen(watched) == [1, 1, 1, 1, 2, 2]
    assert watched.fitted.best_epoch == 1


@pytest.mark.parametrize(("strategy", "same"), [("probe_then_full", True), ("gradual", False)])
def test_a_fresh_stage_begins_from_the_best_weights(strategy: str, same: bool, tmp_path: Path) -> None:
    objective = network()
    states: list[list[Tensor]] = []
    begun: list[list[Tensor]] = []
    validate = scored([1, 3, 2, 2, 2, 2])

    def remember() -> Validation:
        states.append(bits(objective))
        return validate()

    hook = register_optimizer_step_pre_hook(lambda *_: begun.append(bits(objective)))
    spec = finetuning(strategy=strategy, n_frozen=3, stage_epochs=3, epochs=6)
    fit(objective, {"labelled": rows()}, spec=spec, seed=0, placement=PLAIN, folder=tmp_path, validate=remember)
    hook.remove()
    weights = [
        i
        for i, name in enumerate(objective.networks.state_dict())
        if "running" not in name and "num_batches" not in name
    ]
    start, best, last = begun[6], states[1], states[2]
    assert all(torch.equal(start[i], (best if same else last)[i]) for i in weights)
    assert all(map(torch.equal, bits(objective), best))


class Interrupted(Exception):
    """Stands for a kill between two epochs."""


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "chain_thaw", "epochs": 8, "n_frozen": 1, "optimiser": "momentum"},
        {"strategy": "gradual", "plateau": 1, "epochs": 8, "w": 0.5},
        {"strategy": "probe_then_full", "epochs": 8, "l2_sp": 0.1, "schedule": "one_cycle", "optimiser": "adagrad"},
    ],
    ids=lambda options: str(options["strategy"]),
)
def test_an_interrupted_finetuning_ends_with_the_same_numbers(
    options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctlr.training.fit._LOSS", 0.0)  # a checkpoint after every epoch
    spec, scores = finetuning(**options), [1.0, 3, 2, 2, 4, 1, 5, 0]
    whole, watched = run(tmp_path / "whole", spec, validate=scored(scores))
    (tmp_path / "cut").mkdir()

    def go_on(stop: int, done: int) -> Objective:
        objective = network()

        def progress(epoch: int, *_: object) -> None:
            if epoch == stop:
                raise Interrupted

        fit(
            objective, {"labelled": rows()}, spec=spec, seed=0, placement=PLAIN, folder=tmp_path / "cut",
            validate=scored(scores[done:]), progress=progress,
        )  # fmt: skip
        return objective

    for stop in range(1, 8):
        with pytest.raises(Interrupted):
            go_on(stop, stop - 1)
    resumed = go_on(99, 7)
    assert watched.fitted.epochs == 8
    assert all(map(torch.equal, bits(whole), bits(resumed)))


# ---------------------------------------------------------------- L2-SP


def test_l2_sp_adds_the_gradient_of_its_penalty_and_takes_the_encoders_decay() -> None:
    objective = network()
    spec = finetuning(l2_sp=0.2, weight_decay=0.1, n_frozen=1)
    pretrained = {name: torch.randn_like(tensor) for name, tensor in objective.encoder.state_dict().items()
                  if tensor.is_floating_point()}  # fmt: skip
    train_groups(objective, {1, 2, 3, 4})
    pull = l2_sp(objective.encoder, spec, pretrained)
    assert pull is not None
    convolutions = {
        n: p for n, p in objective.encoder.named_parameters() if p.ndim > 1 and not n.startswith("blocks.0")
    }
    assert [id(weight) for weight in pull.weights] == [id(weight) for weight in convolutions.values()]
    penalty = 0.1 * sum((p - pretrained[n]).square().sum() for n, p in convolutions.items())
    expected = torch.autograd.grad(penalty, list(convolutions.values()))
    for weight in pull.weights:
        weight.grad = torch.zeros_like(weight)
    pull.pull()
    for weight, gradient in zip(pull.weights, expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient)
    decaying = [
        p for g in make_optimiser(objective, spec, pull.weights).param_groups if g["weight_decay"] for p in g["params"]
    ]
    assert [tuple(p.shape) for p in decaying] == [(1, 32)]


def test_l2_sp_pulls_to_the_pretrained_weights_from_wherever_it_starts(tmp_path: Path) -> None:
    class Nothing(Supervised):
        """No loss: the pull alone moves."""

        def __call__(self, batches: Mapping[str, Batch], rng: torch.Generator) -> Tensor:
            return super().__call__(batches, rng) * 0.0

    objective = network()
    nothing = Nothing(objective.encoder, objective.head, TaskLoss(classes=0))  # type: ignore[arg-type]
    name = "blocks.2.0.weight"
    before = dict(objective.encoder.named_parameters())[name].detach().clone()
    goal = {key: tensor + 1 for key, tensor in objective.encoder.state_dict().items()}
    spec = finetuning(
        l2_sp=0.5, optimiser="sgd", lr=0.1, epochs=1, batch_size=8, clip=None, schedule="constant", warmup=0
    )
    fit(nothing, {"labelled": rows()}, spec=spec, seed=0, placement=PLAIN, folder=tmp_path, pretrained=goal)
    moved = dict(objective.encoder.named_parameters())[name].detach() - before
    torch.testing.assert_close(moved, torch.full_like(moved, 0.1 * 0.5 * 1), rtol=1e-4, atol=1e-5)


def test_blocks_that_were_not_copied_decay_as_any_other() -> None:
    objective = network()
    pull = l2_sp(objective.encoder, finetuning(l2_sp=0.2, n_copied=2), None)
    assert pull is not None
    assert len(pull.weights) == 2
    assert all(map(torch.equal, pull.weights, pull.start))


# ---------------------------------------------------------------- what is cached, what is refused


@pytest.mark.parametrize(
    ("options", "start"),
    [({"n_frozen": 2}, 2), ({"strategy": "linear_probe"}, 4), ({"strategy": "gradual", "n_frozen": 1}, 1),
     ({"strategy": "chain_thaw"}, 0), ({"n_frozen": 2, "views": ViewsSpec()}, 0)],
)  # fmt: skip
def test_what_never_moves_is_computed_once(options: dict[str, object], start: int) -> None:
    objective = network()
    spec = FinetuneSpec(**options)  # type: ignore[arg-type]
    encoder, head = objective.encoder, build_head(objective.encoder.width, 1, dropout=0.0, seed=0)
    prepared = prepare(encoder, head, TaskLoss(classes=0), spec, rows(), rows(), PLAIN)
    assert prepared.objective.start == start


@pytest.mark.parametrize("n_blocks", sorted({part.blocks for part in ENCODERS.values()}))
@pytest.mark.parametrize(
    "strategy", ["full", "discriminative", "linear_probe", "probe_then_full", "gradual", "chain_thaw"]
)
def test_stages_take_all_epochs_and_the_fewest_give_each_one(strategy: str, n_blocks: int) -> None:
    for n_frozen, extra in itertools.product(range(n_blocks + 1), (0, 1, 30)):
        if strategy == "linear_probe" and n_frozen:
            continue
        spec = finetuning(strategy=strategy, n_frozen=n_frozen, epochs=100)
        spec = spec.model_copy(update={"epochs": epochs_needed(spec, n_blocks) + extra})
        stages = finetune_stages(spec, n_blocks)
        assert sum(stage.epochs for stage in stages) == spec.epochs
        assert min(stage.epochs for stage in stages) >= 1
        assert len({stage.groups for stage in stages}) == len(stages)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"n_frozen": 5}, "`n_frozen` must lie between 0 and 4, the number of blocks of this encoder; got 5"),
        ({"strategy": "gradual", "epochs": 4}, "`epochs` must be 5 or more, for the stages of `strategy: gradual`"),
        ({"strategy": "chain_thaw", "stage_epochs": 3}, "`epochs` must be 16 or more"),
    ],
)
def test_more_layers_or_stages_than_there_can_be_are_refused(
    options: dict[str, object], told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        run(tmp_path, finetuning(**options))


@pytest.mark.parametrize(
    ("name", "ndim"), [(name, ndim) for name, part in ENCODERS.items() for ndim in part.dimensions]
)
def test_the_groups_of_every_encoder_are_its_blocks_and_the_head(name: str, ndim: int) -> None:
    with torch.device("meta"):  # shapes are enough
        encoder = build_encoder(encoder_spec(name), channels=1, ndim=ndim, seed=0)
        head = build_head(encoder.width, 1, dropout=0.0, seed=0)
    objective = Supervised(encoder, head, TaskLoss(classes=0))
    groups = layer_groups(objective)
    assert len(groups) == ENCODERS[name].blocks + 1
    assert [id(p) for group in groups for p in group] == [id(p) for p in objective.networks.parameters()]
    assert all(groups)


def test_an_unknown_layer_group_is_named() -> None:
    with pytest.raises(ConfigError, match="unknown layer group 7: this encoder has the blocks 0 to 3"):
        train_groups(network(), {2, 7})


def test_the_weights_of_another_encoder_are_refused_by_both_names() -> None:
    spec = EncoderSpec(label="mine", name="resnet18", norm="group")
    path = Path("pretrained/encoder.safetensors")
    check_encoder(encoder_record(spec.model_copy(update={"label": "theirs"})), spec, path)
    with pytest.raises(ConfigError) as told:
        check_encoder(encoder_record(EncoderSpec(name="small_cnn", width=0.5)), spec, path)
    assert "holds weights of small_cnn (norm batch, width 0.5)" in str(told.value)
    assert "the study's encoder is resnet18 (norm group, width 1)" in str(told.value)
