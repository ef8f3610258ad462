from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from faulty_kernel import faulty_bf16
from torch import Tensor

from ctlr.encoders import build_encoder, build_head
from ctlr.encoders.base import Encoder
from ctlr.errors import ConfigError, TrainingError
from ctlr.methods.losses import TaskLoss
from ctlr.methods.supervised import Supervised
from ctlr.specs import ComputeSpec, EncoderSpec, FitSpec, ModelCard
from ctlr.training.checkpoint import TrainedModel, load_model, save_model
from ctlr.training.fit import fit
from ctlr.training.images import Images, Labelled
from ctlr.training.placement import Placement, cpu_multiplies_bf16, place, warm_up

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests find out about broken kernels stays among themselves."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def small(ndim: int) -> Encoder:
    return build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=ndim, seed=0)


def placed(precision: str, ndim: int = 2, side: int = 32) -> Placement:
    return place(small(ndim), ComputeSpec.model_validate({"precision": precision}), "cpu", (1, *[side] * ndim))


def test_float32_stays_in_the_plain_layout_and_casts_nothing() -> None:
    placement = placed("float32", ndim=3)
    assert placement.name == "cpu float32 contiguous_format"
    with placement.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize(("ndim", "layout"), [(2, "channels_last"), (3, "channels_last_3d")])
def test_bf16_on_the_small_network_goes_with_channels_last(ndim: int, layout: str) -> None:
    placement = placed("bf16", ndim, side=24)
    assert placement.name == f"cpu bf16 {layout}"
    with placement.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16


def test_auto_is_bf16_exactly_where_the_processor_has_it() -> None:
    assert (placed("auto").dtype == torch.bfloat16) == cpu_multiplies_bf16()


def test_one_channel_is_told_to_be_last_and_keeps_its_values() -> None:
    images = torch.arange(2 * 27.0).view(2, 1, 3, 3, 3)
    laid = Placement(CPU, None, torch.channels_last_3d).lay_out(images)
    assert torch.equal(laid, images)
    assert laid.stride() == (27, 1, 9, 3, 1)
    assert torch.nn.Conv3d(1, 4, 3)(laid).is_contiguous(memory_format=torch.channels_last_3d)


def test_the_plain_layout_leaves_images_as_they_are() -> None:
    images = torch.rand(2, 1, 4, 4)
    assert Placement(CPU, None, torch.contiguous_format).lay_out(images) is images


def test_fp16_on_a_cpu_is_refused_with_the_remedy() -> None:
    with pytest.raises(ConfigError, match="fp16` needs a GPU. Use bf16, float32 or auto"):
        placed("fp16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    encoder = build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=2, seed=0)
    with pytest.raises(ConfigError, match="needs a CUDA device"):
        place(encoder, ComputeSpec(), "cuda", (1, 32, 32))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_takes_half_precision_by_itself() -> None:
    encoder = build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=2, seed=0)
    assert place(encoder, ComputeSpec(), "cuda", (1, 32, 32)).dtype in (torch.bfloat16, torch.float16)


# ---------------------------------------------------------------- kernels that are wrong


def at_side_two(enter: Sequence[int], leave: Sequence[int], kernel: Sequence[int]) -> bool:
    """Pictures' convolutions at side 2, of which the static rule knows nothing: the self-test must find them."""
    return set(enter) == {2}


def everywhere(enter: Sequence[int], leave: Sequence[int], kernel: Sequence[int]) -> bool:
    return True


def trained(placement: Placement, ndim: int, folder: Path) -> dict[str, Tensor]:
    """Weights after two epochs on noise."""
    images = torch.randn(6, 1, *[16] * ndim, generator=torch.Generator().manual_seed(0))
    encoder = small(ndim)
    objective = Supervised(encoder, build_head(32, 1, dropout=0.0, seed=0), TaskLoss(classes=0))
    folder.mkdir()
    fit(
        objective, {"labelled": Labelled(Images.of(images, CPU), images.flatten(1).mean(1) * 9)},
        spec=FitSpec(epochs=2, batch_size=6), seed=0, placement=placement, folder=folder,
    )  # fmt: skip
    return objective.networks.state_dict()


@pytest.mark.parametrize("ndim", [2, 3])
def test_training_in_bf16_gives_the_same_finite_weights_twice_where_a_kernel_is_faulty(
    ndim: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_bf16(monkeypatch, at_side_two):
        placement = placed("bf16", ndim, side=16)
        assert placement.faulty == ("blocks.3.0",)
        first, again = (trained(placement, ndim, tmp_path / name) for name in ("first", "again"))
    right = trained(Placement(CPU, None, placement.memory_format), ndim, tmp_path / "right")
    for name, value in first.items():
        assert torch.equal(value, again[name]), name
        assert bool(value.isfinite().all()), name
    moved = first["encoder.blocks.3.0.weight"] - right["encoder.blocks.3.0.weight"]
    assert float(moved.norm()) < 0.1 * float(right["encoder.blocks.3.0.weight"].norm())


def test_without_the_rule_the_faulty_kernel_trains_other_weights_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The double bites: what it trains differs, or is no number."""
    bare = Placement(CPU, torch.bfloat16, torch.channels_last_3d)
    with faulty_bf16(monkeypatch):
        found = []
        for name in ("first", "again"):
            try:
                found.append(trained(bare, 3, tmp_path / name)["encoder.blocks.3.0.weight"])
            except TrainingError:
                return
    assert not torch.equal(*found)


def test_the_rule_holds_where_unwritten_memory_looks_right_by_luck() -> None:
    placement = placed("bf16", ndim=3, side=16)
    assert placement.name == "cpu bf16 channels_last_3d; 1 of 4 convolutions in float32 (blocks.3.0)"


def test_auto_takes_float32_throughout_where_most_convolutions_are_wrong_and_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ctlr.training.placement.cpu_multiplies_bf16", lambda: True)
    with faulty_bf16(monkeypatch, everywhere):
        placement, forced = placed("auto"), placed("bf16")
    assert placement.dtype is None
    assert placement.name == "cpu float32 contiguous_format; this processor gets 4 of 4 convolutions wrong in bf16"
    assert forced.dtype == torch.bfloat16
    assert forced.faulty == tuple(f"blocks.{n}.0" for n in range(4))


def test_auto_keeps_bf16_where_the_kernels_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctlr.training.placement.cpu_multiplies_bf16", lambda: True)
    assert placed("auto").name == "cpu bf16 channels_last"


def test_a_long_list_of_convolutions_is_cut_short() -> None:
    names = tuple(f"blocks.{n}" for n in range(9))
    placement = Placement(CPU, torch.bfloat16, torch.channels_last, convolutions=20, faulty=names)
    assert placement.name == (
        "cpu bf16 channels_last; 9 of 20 convolutions in float32 (blocks.0, blocks.1, blocks.2, blocks.3, ...)"
    )


def test_a_model_with_a_layer_in_float32_is_loaded_as_any_other(tmp_path: Path) -> None:
    placement = placed("bf16", ndim=3, side=16)
    encoder, head = small(3), build_head(32, 1, dropout=0.0, seed=0)
    placement.put(encoder)
    card = ModelCard(
        encoder=EncoderSpec(name="small_cnn"), channels=1, ndim=3, shape=(1, 16, 16, 16), task="regression",
        target="age",
    )  # fmt: skip
    model = TrainedModel(card, encoder, head)
    save_model(tmp_path, model)
    images = torch.randn(3, 1, 16, 16, 16, generator=torch.Generator().manual_seed(0)).numpy()
    assert load_model(tmp_path).predict(images) == pytest.approx(model.predict(images), abs=1e-6)


def test_a_first_step_draws_no_random_numbers_and_leaves_gradients_on() -> None:
    before = torch.get_rng_state()
    warm_up("cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()
