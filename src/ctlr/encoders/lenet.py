"""LeNet, as deep-learning frameworks shipped it for handwritten digits."""

from __future__ import annotations

from torch import nn

from ctlr.encoders.base import Encoder, activation_of, init_layers, scaled
from ctlr.specs import LeNetSpec

__all__ = ["LeNet", "lenet"]


class LeNet(Encoder):
    """Two blocks of convolution and pooling, then a layer that sees the whole of their last map.

    That layer is a convolution as large as the map of 28 x 28 pixels: there it is the published fully connected one,
    and on larger pictures it is moved over the map and averaged (LeCun et al. 1998, sec. VII).
    """

    # `python bench/encoders.py lenet`, one thread of a AMD EPYC with AVX512-BF16.
    # Pictures a second at 28^2, batches of 64: float32 3190, channels-last 4890; bf16 3670, channels-last 5900.
    channels_last = True
    bf16 = True


def lenet(*, channels: int, options: LeNetSpec, ndim: int = 2) -> LeNet:
    """Build LeNet for pictures: `units` features, some 430,000 weights by default."""
    sizes = (channels, *(scaled(size, options.width) for size in options.filters))
    units, grid = scaled(options.units, options.width), options.grid
    pools = (nn.MaxPool2d(options.pool, padding=options.pool // 3), nn.MaxPool2d(2))
    blocks = [
        nn.Sequential(
            nn.Conv2d(sizes[n], sizes[n + 1], 5, padding=options.padding[n]),
            *([] if options.between == "none" else [activation_of(options.between)]),
            pools[n],
        )
        for n in (0, 1)
    ]
    blocks.append(nn.Sequential(nn.Conv2d(sizes[-1], units, grid), activation_of(options.activation)))
    encoder = LeNet(blocks, units)
    init_layers(encoder, options.activation)
    return encoder
