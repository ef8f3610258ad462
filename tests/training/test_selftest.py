"""Precision, layer by layer: memory that was never written changes no number, and bf16 agrees with float32."""

import copy
import ctypes
import dataclasses
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from faulty_kernel import faulty_bf16, seen_on_epyc
from light import usual_width
from torch import Tensor, nn

from ctlr.encoders import build_encoder
from ctlr.encoders.base import Encoder
from ctlr.specs import ENCODERS, ComputeSpec, encoder_spec
from ctlr.training.convolutions import Convolution, convolutions_of
from ctlr.training.placement import place
from ctlr.training.selftest import BOUND, find_faults, is_known_to_fail, judge, soiled_heap

GLIBC = hasattr(ctypes.CDLL(None), "mallopt")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What these tests find out about broken kernels stays among themselves."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


# ---------------------------------------------------------------- every encoder, on a soiled heap

SIDES = (32, 33)
SMALLER = (16, 17, 20)
"""Sides that the small CNN takes as well. Its last convolution then sees maps of side 2, those of the others 1 or 2."""
REPEATS = {"resnet34": "resnet18", "vgg11": "vgg16"}
"""Encoders all of whose convolutions, maps included, another one has; that one stands for both."""


def cases() -> Iterator[tuple[str, int, int, str]]:
    for name, part in ENCODERS.items():
        if name in REPEATS:
            continue
        for ndim in set(part.dimensions) - {0, 1}:  # bf16 is asked for by nobody there
            for side in (*(SMALLER if name == "small_cnn" else ()), *SIDES):
                yield name, ndim, side, "auto"
    # Where `auto` is float32 the rest of the way is walked too.
    yield from (("small_cnn", 2, side, "bf16") for side in (16, 17, 32))
    yield from (("small_cnn", 3, side, "bf16") for side in (16, 17))


def shapes(name: str, side: int) -> set[tuple[object, ...]]:
    """What tells its convolutions of volumes apart; those of pictures are the same, with a side less."""
    encoder = build_encoder(encoder_spec(name, width=usual_width(name, 3)), channels=1, ndim=3, seed=0)
    return {
        (each.entering, each.leaving, each.module.kernel_size, each.module.stride, each.module.groups)
        for each in convolutions_of(encoder, (1, *[side] * 3))
    }


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", REPEATS)
def test_an_encoder_that_another_one_stands_for_has_no_convolution_of_its_own(name: str, side: int) -> None:
    assert shapes(name, side) <= shapes(REPEATS[name], side)


@dataclass
class Passed:
    """What a convolution saw and gave in one step."""

    images: Tensor
    output: Tensor
    gradient: Tensor | None = None


def step(encoder: Encoder, ndim: int, side: int, precision: str, fill: int) -> dict[str, Passed]:
    """One step in training mode on three images; gradients stay in the encoder."""
    placement = place(encoder, ComputeSpec.model_validate({"precision": precision}), "cpu", (1, *[side] * ndim))
    placement.put(encoder)
    encoder.train().zero_grad()
    passed: dict[str, Passed] = {}

    def note(name: str, images: Tensor, output: Tensor) -> None:
        # Cloned: what follows may write into it.
        passed[name] = Passed(images.detach().float().clone(), output.detach().float().clone())
        output.register_hook(lambda gradient: setattr(passed[name], "gradient", gradient.float()))

    hooks = [
        module.register_forward_hook(lambda _, images, output, name=name: note(name, images[0], output))
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Conv2d | nn.Conv3d)
    ]
    images = placement.lay_out(torch.randn(3, 1, *[side] * ndim, generator=torch.Generator().manual_seed(0)))
    with soiled_heap(fill), placement.autocast():
        encoder(images).square().sum().backward()
    for hook in hooks:
        hook.remove()
    return passed


def error(found: Tensor, right: Tensor) -> float:
    return float((found - right).norm() / right.norm())


@pytest.mark.parametrize(("name", "ndim", "side", "precision"), list(cases()))
def test_on_a_soiled_heap_every_layer_gives_the_same_numbers_twice_and_float32s(
    name: str, ndim: int, side: int, precision: str
) -> None:
    encoder = build_encoder(encoder_spec(name, width=usual_width(name, ndim)), channels=1, ndim=ndim, seed=0)
    weights = copy.deepcopy(encoder.state_dict())
    step(encoder, ndim, side, precision, 0x80)
    first = {name: weight.grad.clone() for name, weight in encoder.named_parameters()}
    encoder.load_state_dict(weights)
    passed = step(encoder, ndim, side, precision, 0x7F)
    for weight, parameter in encoder.named_parameters():
        assert torch.equal(parameter.grad, first[weight]), weight
    for layer, seen in passed.items():
        module = encoder.get_submodule(layer)
        weight = module.weight.detach().clone().requires_grad_()
        exact = torch.func.functional_call(module, {"weight": weight}, (seen.images,))
        assert error(seen.output, exact.detach()) <= BOUND, layer
        (exact * seen.gradient).sum().backward()
        assert error(module.weight.grad, weight.grad) <= BOUND, layer


# ---------------------------------------------------------------- the test itself


def plain(maps: Tensor) -> Tensor:
    return maps


def convolution(*entering: int, stride: int = 1, kernel: int = 3) -> Convolution:
    kind = nn.Conv3d if len(entering) == 3 else nn.Conv2d
    module = kind(4, 6, kernel, stride=stride, padding=kernel // 2)
    leaving = module(torch.zeros(1, 4, *entering)).shape[1:]
    return Convolution("blocks.0", module, (4, *entering), tuple(leaving))


@pytest.mark.parametrize(
    ("layer", "known"),
    [
        (convolution(2, 2, 2), True),
        (convolution(2, 2, 2, stride=2), True),
        (convolution(1, 1, 1), True),
        (convolution(1, 1, 1, stride=2), True),
        (convolution(2, 2, stride=2), True),
        (convolution(1, 1, stride=2), True),
        (convolution(9, 2, 9), True),
        (convolution(3, 3, 3), False),
        (convolution(3, 3, 3, stride=2), False),
        (convolution(2, 2), False),
        (convolution(1, 1), False),
        (convolution(3, 3, stride=2), False),
        (convolution(2, 2, 2, kernel=1), False),
        (convolution(2, 2, 2, kernel=1, stride=2), False),
    ],
)
def test_the_shapes_that_were_seen_to_read_unwritten_memory_are_known(layer: Convolution, known: bool) -> None:
    assert is_known_to_fail(layer) == known
    module = layer.module
    measured = seen_on_epyc(layer.entering[1:], layer.leaving[1:], module.kernel_size)
    assert known or not measured


def at_side(side: int) -> Callable[..., bool]:
    return lambda enter, leave, kernel: set(enter) == {side}


@pytest.mark.parametrize("side", [4, 8])
def test_a_kernel_that_reads_unwritten_memory_is_found_on_any_shape(monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    with faulty_bf16(monkeypatch, at_side(side)):
        assert re.fullmatch(r"weight gradient off by \S+", judge(convolution(side, side, side), plain))
        assert judge(convolution(6, 6, 6), plain) == ""


def test_a_kernel_that_is_right_but_for_a_fill_of_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors below the bound that change with what lay in memory make numbers that cannot be got again."""
    convolve, calls = torch.nn.functional.conv2d, itertools.count()

    def restless(images: Tensor, *rest: object) -> Tensor:
        output = convolve(images, *rest)
        return output * (1 + 2**-7 * (next(calls) % 4 > 1)) if output.dtype == torch.bfloat16 else output

    monkeypatch.setattr(torch.nn.functional, "conv2d", restless)
    assert judge(convolution(5, 5), plain) == "output depends on unwritten memory"


def test_the_self_test_touches_neither_the_random_state_nor_weights_nor_threads() -> None:
    layer = convolution(4, 4, 4)
    weights = copy.deepcopy(layer.module.state_dict())
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    assert judge(layer, plain) == ""
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert all(torch.equal(value, weights[name]) for name, value in layer.module.state_dict().items())
    assert layer.module.weight.grad is None


@pytest.mark.skipif(not GLIBC, reason="memory is soiled through glibc")
def test_a_soiled_heap_fills_fresh_memory_and_stops_doing_so() -> None:
    with soiled_heap(0x80):
        assert float(torch.empty(100_000)[5]) == pytest.approx(3.39e38, rel=0.01)
    assert float(torch.empty(2**28)[5]) == 0  # so much comes from the system, and not from what was freed before


def test_what_was_found_once_is_not_tested_again(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [convolution(2, 2, 2), convolution(4, 4, 4), convolution(8, 8, 8)]
    layers = [dataclasses.replace(layer, name=f"blocks.{number}") for number, layer in enumerate(layers)]
    with faulty_bf16(monkeypatch, at_side(8)):
        found = find_faults(layers, plain, "contiguous")
    assert found["blocks.0"] == "reads unwritten memory"
    assert found["blocks.2"].startswith("weight gradient off by ")
    assert list(found) == ["blocks.0", "blocks.2"]
    monkeypatch.setattr("ctlr.training.selftest.judge", lambda *_: pytest.fail("tested again"))
    assert find_faults(layers, plain, "contiguous") == found
    with pytest.raises(pytest.fail.Exception, match="tested again"):
        find_faults(layers, plain, "channels_last_3d")
