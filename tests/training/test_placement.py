import pytest
import torch

from ctlr.encoders import build_encoder
from ctlr.errors import ConfigError
from ctlr.specs import ComputeSpec, EncoderSpec
from ctlr.training.placement import Placement, cpu_multiplies_bf16, place

CPU = torch.device("cpu")


def placed(precision: str, ndim: int = 3) -> Placement:
    encoder = build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=ndim, seed=0)
    return place(encoder, ComputeSpec.model_validate({"precision": precision}), "cpu", ndim)


def test_float32_stays_in_the_plain_layout_and_casts_nothing() -> None:
    placement = placed("float32")
    assert placement.name == "cpu float32 contiguous_format"
    with placement.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.parametrize(("ndim", "layout"), [(2, "channels_last"), (3, "channels_last_3d")])
def test_bf16_on_the_small_network_goes_with_channels_last(ndim: int, layout: str) -> None:
    placement = placed("bf16", ndim)
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
        place(encoder, ComputeSpec(), "cuda", 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_takes_half_precision_by_itself() -> None:
    encoder = build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=2, seed=0)
    assert place(encoder, ComputeSpec(), "cuda", 2).dtype in (torch.bfloat16, torch.float16)
