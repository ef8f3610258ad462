"""The weights that a seed draws stay what they were: results in a workspace stand for them."""

from __future__ import annotations

import hashlib

import pytest

from ctlr.encoders import Encoder, build_encoder
from ctlr.specs import EncoderSpec

RECORDED = {
    ("small_cnn", 2): "1deb93e29d3f6c1831f8d6d0cbb4d1a97b6a9d52ed448ee5e027135558e3c58e",
    ("small_cnn", 3): "e7d2a405672eefc876cb455a9d722c51560260a8e7e62f815adb63f2cfe77325",
    ("sfcn", 3): "88256419376c1b1663ce8d8279ab95f7dbada66eda178cf3f31f81b600ac22e5",
    ("resnet18", 2): "8e820220ac272d73cb7b4a7153cbf4efd7d13d4deed6dde328188560d2bb71ee",
    ("resnet18", 3): "cf07d1b56f1bcadb5e1718940e991e2f03e23ba01ced537b10aa829faa86a077",
    ("resnet34", 2): "1e5d8c91aab22e9c1e71885512e57470dfd3a1097b906da8acfb88b406a806bd",
    ("resnet34", 3): "fa4c7af3c36fd6f9a5df9f63b6616185c097d83a45adcb7513d7b8c3845a0011",
    ("resnet50", 2): "b014d70f1b462054b9647470bb84d8a522b25fed6b1c22d2ccc74dadb1ecdb6f",
    ("resnet50", 3): "795fba81425d27e662403804ba1addcb334e63219dcb348050afabfeb3ccca82",
    ("vgg11", 2): "f4d9e217ace160ae8726750840bcd11830d50dc209750028685f4a53922a416f",
    ("vgg11", 3): "35e7bf0a55c40de0dd361ca4f4ec76992244f59993520ec7a0b899f8efdcfe20",
    ("vgg16", 2): "0ccfa3a16469aba272d9bc7b86fe3d216a47f24d2949e354a67d610509874f87",
    ("vgg16", 3): "00b53d02b994a0c1fbb10fb7b58d8400fcf5e4a5a5a9df57820872b2a06615a1",
    ("densenet121", 2): "217f09defbb9f94069823839a01ac6e1b6ff095cd434a25571c09a4ff20a7a08",
    ("densenet121", 3): "87e07304bb3c2d949d0424c5a3ccd06eedf69eea8687bc3df80a316b99805365",
    ("alexnet", 2): "3bbeeb74a78527633b37c6edfaf830623da304e53e0b63312084f57ed778309d",
}


def digest(encoder: Encoder) -> str:
    """Of names, shapes and numbers, in order."""
    state = hashlib.sha256()
    for name, tensor in encoder.state_dict().items():
        state.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        state.update(tensor.contiguous().numpy().tobytes())
    return state.hexdigest()


@pytest.mark.parametrize(("name", "ndim"), RECORDED)
def test_seed_0_draws_the_weights_that_it_drew(name: str, ndim: int) -> None:
    width = 0.25 if ndim == 3 else 1.0
    encoder = build_encoder(EncoderSpec(name=name, width=width), channels=1, ndim=ndim, seed=0)
    assert digest(encoder) == RECORDED[name, ndim]
