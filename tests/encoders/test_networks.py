"""Networks for points, signals and rows of pictures: their options, their arithmetic, their dropout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from ctlr.encoders import Encoder, build_encoder, build_head, freeze_blocks, patch_decoder
from ctlr.encoders.recurrent import Frames, Rows
from ctlr.methods.losses import TaskLoss
from ctlr.methods.supervised import Supervised
from ctlr.specs import EncoderSpec, FinetuneSpec, FitSpec, LeNetSpec, MlpSpec, ModelCard, encoder_spec, misfits
from ctlr.training.checkpoint import TrainedModel, check_encoder, encoder_record, load_model, save_model
from ctlr.training.fit import fit
from ctlr.training.images import Images, Labelled
from ctlr.training.placement import Placement

CPU = torch.device("cpu")
NDIM = {"mlp": 0, "cnn1d": 1, "lstm": 1, "cnn_lstm": 1, "row_rnn": 2}
SHAPE = {0: (3,), 1: (4, 60), 2: (1, 12, 20)}


def built(name: str, channels: int | None = None, seed: int = 0, **options: Any) -> Encoder:
    ndim = NDIM[name]
    return build_encoder(
        encoder_spec(name, **options), channels=channels or SHAPE[ndim][0], ndim=ndim, seed=seed
    )  # fmt: skip


def images(name: str, number: int = 6) -> Tensor:
    return torch.randn(number, *SHAPE[NDIM[name]], generator=torch.Generator().manual_seed(1))


# ---------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({}, (64, 64, 64)),
        ({"layers": 5, "units": 100, "shape": "triangle"}, (100, 80, 60, 40, 20)),
        ({"layers": 4, "units": 64, "shape": "halving"}, (64, 32, 16, 8)),
        ({"layers": 4, "units": 2, "shape": "halving"}, (2, 1, 1, 1)),
        ({"layers": 1, "units": 10, "width": 2.0}, (20,)),
    ],
)
def test_a_perceptron_has_the_layers_that_its_options_say(options: dict[str, Any], sizes: tuple[int, ...]) -> None:
    encoder = built("mlp", **options)
    linear = [part for part in encoder.modules() if isinstance(part, nn.Linear)]
    assert tuple(part.out_features for part in linear) == sizes
    assert linear[0].in_features == 3
    assert len(encoder.blocks) == encoder_spec("mlp", **options).blocks == len(sizes)
    assert encoder(images("mlp")).shape == (6, sizes[-1])


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({}, 431_080),  # Caffe's
        ({"filters": (32, 64), "padding": (2, 2), "units": 1024, "between": "relu"}, 3_274_634),  # TensorFlow's
        ({"filters": (32, 64), "padding": (2, 0), "pool": 3, "units": 200, "activation": "tanh"}, 169_506),  # Torch's
    ],
)
def test_lenet_has_as_many_weights_as_the_frameworks_shipped(options: dict[str, Any], weights: int) -> None:
    spec = encoder_spec("lenet", **options)
    encoder = build_encoder(spec, channels=1, ndim=2, seed=0)
    assert sum(part.numel() for part in encoder.parameters()) + 10 * encoder.width + 10 == weights
    assert isinstance(spec, LeNetSpec)
    assert encoder(torch.zeros(1, 1, 28, 28), stop=2).shape[2:] == (spec.grid, spec.grid)
    assert encoder(torch.zeros(2, 1, 40, 28)).shape == (2, encoder.width)


@pytest.mark.parametrize(
    ("name", "options", "blocks", "least"),
    [("cnn1d", {"layers": 5}, 5, 32), ("lstm", {"layers": 4, "frame": 7}, 5, 7), ("cnn_lstm", {"frame": 20}, 4, 20)],
)
def test_blocks_and_the_shortest_side_follow_from_the_options(
    name: str, options: dict[str, Any], blocks: int, least: int
) -> None:
    spec = encoder_spec(name, **options)
    assert (spec.blocks, spec.least) == (blocks, least)
    encoder = built(name, **options)
    assert len(encoder.blocks) == blocks
    assert encoder(torch.randn(2, 4, least)).isfinite().all()


def test_as_many_blocks_can_be_frozen_as_the_options_give() -> None:
    wanted = FinetuneSpec(n_frozen=4)
    assert list(misfits(wanted, encoder_spec("mlp", layers=4))) == []
    (told,) = misfits(wanted, encoder_spec("mlp"))
    assert told == ("n_frozen", "mlp has 3 blocks; got 4. Lower it; all of them is `strategy: linear_probe`.")


def test_options_are_part_of_what_an_encoder_is_and_come_back_from_a_model_file(tmp_path: Path) -> None:
    spec = encoder_spec("mlp", layers=2, norm="none", activation="tanh")
    assert spec.identity() != encoder_spec("mlp", layers=3, norm="none", activation="tanh").identity()
    encoder = build_encoder(spec, channels=3, ndim=0, seed=5)
    card = ModelCard(encoder=spec, channels=3, ndim=0, shape=(3,), task="regression", target="x")
    saved = TrainedModel(card, encoder, build_head(encoder.width, 1, dropout=0.0, seed=0))
    save_model(tmp_path, saved)
    again = load_model(tmp_path)
    assert type(again.card.encoder) is MlpSpec
    assert again.card.encoder == spec
    points = images("mlp").numpy()
    assert np.array_equal(again.predict(points), saved.predict(points))


def test_weights_of_other_options_are_refused_with_both() -> None:
    told = r"mlp \(norm batch, width 1, layers 5, .*, and the study's encoder is mlp \(norm batch, width 1, layers 3, "
    with pytest.raises(Exception, match=told):
        check_encoder(encoder_record(encoder_spec("mlp", layers=5)), encoder_spec("mlp"), Path("x/y"))


def test_options_of_another_encoder_are_refused() -> None:
    with pytest.raises(ValidationError, match="units"):
        encoder_spec("small_cnn", units=3)
    with pytest.raises(ValidationError, match="mlp has options of its own, `MlpSpec`; got `EncoderSpec`"):
        EncoderSpec(name="mlp")


@pytest.mark.parametrize(("activation", "kept"), [("relu", 1.0), ("leaky_relu", 1.0), ("selu", 1.0), ("tanh", 0.394)])
def test_a_layer_keeps_the_mean_square_where_its_activation_lets_it(activation: str, kept: float) -> None:
    encoder = built("mlp", channels=256, layers=1, units=512, norm="none", activation=activation)
    points = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert encoder(points).square().mean() == pytest.approx(kept, abs=0.03)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "elu", "selu", "gelu", "silu", "tanh", "sigmoid"])
def test_every_activation_is_there(activation: str) -> None:
    for name in ("mlp", "cnn1d"):
        assert built(name, activation=activation)(images(name)).isfinite().all()


def test_a_point_alone_in_its_batch_is_normalised_by_the_running_averages() -> None:
    encoder = built("mlp").train()
    for _ in range(20):
        encoder(images("mlp", 64))
    point = images("mlp", 1)
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    alone = encoder(point)
    assert all(torch.equal(before[key], tensor) for key, tensor in encoder.state_dict().items())
    assert torch.equal(alone, encoder.eval()(point))


# ---------------------------------------------------------------- arithmetic


@pytest.mark.parametrize(("frame", "hop", "count"), [(15, 5, 10), (1, 1, 60), (60, 1, 1), (7, 9, 6)])
def test_frames_are_windows_of_the_signal(frame: int, hop: int, count: int) -> None:
    signals = images("lstm")
    frames = Frames(frame, hop)(signals)
    assert frames.shape == (6, frame, 4, count)
    windows = np.lib.stride_tricks.sliding_window_view(signals.numpy(), frame, axis=2)[:, :, ::hop]
    assert np.array_equal(frames.permute(0, 2, 3, 1).numpy(), windows)


def test_an_lstm_layer_follows_its_equations_step_by_step() -> None:
    block = built("lstm", layers=1, units=5).blocks[1].eval()
    maps = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = block(maps).numpy()
    weights = {name.removeprefix("lstm."): value.detach().double().numpy() for name, value in block.named_parameters()}
    hidden, cell = np.zeros((2, 5)), np.zeros((2, 5))

    def squashed(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    for step in range(7):
        gates = maps[:, :, step].double().numpy() @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]
        gates += hidden @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]
        enter, forget, new, leave = np.split(gates, 4, axis=1)
        cell = squashed(forget) * cell + squashed(enter) * np.tanh(new)
        hidden = squashed(leave) * np.tanh(cell)
        assert found[:, :, step] == pytest.approx(hidden, abs=1e-5)


def test_the_convolutions_for_space_see_one_frame_at_a_time() -> None:
    encoder = built("cnn_lstm", frame=15, hop=5).eval()
    signals = images("cnn_lstm")
    changed = signals.clone()
    changed[:, :, 0] += 10  # lies in the first frame alone
    with torch.no_grad():
        one, other = encoder(signals, stop=2), encoder(changed, stop=2)
    assert one.shape == (6, 16, 1, 10)  # four channels, halved twice
    assert torch.equal(one[..., 1:], other[..., 1:])
    assert not torch.equal(one[..., 0], other[..., 0])


@pytest.mark.parametrize(("width", "columns"), [(20, 20), (20, 5), (5, 20), (7, 3), (3, 7), (1, 4)])
def test_rows_are_averaged_over_equal_parts(width: int, columns: int) -> None:
    pictures = torch.rand(2, 3, 4, width, generator=torch.Generator().manual_seed(0))
    rows = Rows(columns)(pictures)
    assert rows.shape == (2, 3 * columns, 4, 1)
    # As every pixel cut into as many pieces as there are columns.
    pieces = pictures.repeat_interleave(columns, dim=3).unflatten(3, (columns, width)).mean(dim=4)
    assert torch.allclose(rows[..., 0].unflatten(1, (3, columns)).transpose(2, 3), pieces, atol=1e-6)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_row_changes_what_stands_at_it_and_below_alone(kind: str) -> None:
    encoder = built("row_rnn", kind=kind).eval()
    pictures = images("row_rnn")
    changed = pictures.clone()
    changed[:, :, 5] += 1
    with torch.no_grad():
        one, other = encoder(pictures, stop=3), encoder(changed, stop=3)
    assert one.shape == (6, 64, 12, 1)
    differs = (one != other).any(dim=1).any(dim=0).flatten().tolist()
    assert differs == [False] * 5 + [True] * 7


def test_the_state_of_a_row_draws_that_row() -> None:
    encoder, pictures = built("row_rnn").eval(), images("row_rnn")
    decoder = patch_decoder(encoder, SHAPE[2], seed=0)
    assert decoder.box == (1, 20)
    assert decoder(encoder(pictures, stop=3)).shape == pictures.shape


def test_gated_units_have_three_quarters_of_the_weights_of_long_short_term_memory() -> None:
    weights = {
        kind: sum(part.numel() for part in built("row_rnn", kind=kind).blocks[1:].parameters())
        for kind in ("lstm", "gru")
    }
    assert weights["gru"] / weights["lstm"] == 0.75


@pytest.mark.parametrize("channels", [1, 3, 20])
def test_any_number_of_channels_is_taken_in(channels: int) -> None:
    for name in ("cnn1d", "lstm", "cnn_lstm"):
        assert built(name, channels=channels)(torch.randn(2, channels, 60)).shape == (2, 64)


# ---------------------------------------------------------------- dropout


@pytest.mark.parametrize("name", NDIM)
def test_dropout_draws_as_the_heads_does_while_training_and_not_in_frozen_blocks(name: str) -> None:
    encoder, batch = built(name, dropout=0.5).train(), images(name)
    torch.manual_seed(3)
    first, second = encoder(batch), encoder(batch)
    assert not torch.equal(first, second)
    torch.manual_seed(3)
    assert torch.equal(encoder(batch), first)
    freeze_blocks(encoder, len(encoder.blocks))
    encoder.train()
    assert torch.equal(encoder(batch), encoder(batch))


class Interrupted(Exception):
    """Stands for a kill between two epochs."""


@pytest.mark.parametrize("name", NDIM)
def test_a_killed_run_with_dropout_goes_on_to_the_same_weights(name: str, tmp_path: Path) -> None:
    def run(folder: Path, stop_after: int | None = None) -> dict[str, Tensor]:
        folder.mkdir(exist_ok=True)
        encoder = built(name, dropout=0.3)
        head = build_head(encoder.width, 1, dropout=0.0, seed=0)
        objective = Supervised(encoder, head, TaskLoss(classes=0), views=None)
        batch = images(name, 12)
        rows = Labelled(Images.of(batch, CPU), batch.flatten(1).mean(1))

        def progress(epoch: int, epochs: int, row: Mapping[str, float]) -> None:
            if epoch == stop_after:
                raise Interrupted

        fit(
            objective, {"labelled": rows}, spec=FitSpec(epochs=3, batch_size=4), seed=0,
            placement=Placement(CPU, None, torch.contiguous_format), folder=folder, progress=progress,
        )  # fmt: skip
        return {key: tensor.clone() for key, tensor in objective.networks.state_dict().items()}

    whole = run(tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(tmp_path / "cut", stop_after=1)
    resumed = run(tmp_path / "cut")
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
