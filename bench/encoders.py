"""Training throughput of every encoder on a CPU: float32 or bfloat16, contiguous or channels-last.

    OMP_NUM_THREADS=1 python bench/encoders.py [NAME ...]

One thread; a step is forward, backward and AdamW, timed in CPU seconds. The four settings of an encoder take turns, so
that whatever else the machine does hits all of them, and each one's fastest step counts. The figures decide the
encoders' attributes `channels_last` and `bf16`. All encoders take some 15 minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ctlr import specs
from ctlr.encoders import Encoder, build_encoder

SIDES = {2: (64, 128), 3: (32, 48)}
OWN_SIDES = {"lenet": (28, 64)}
BATCH = {"small_cnn": 16, "lenet": 64}  # the others: 8
ROUNDS = 3
STEPS = 2
SETTINGS = {
    "float32": (False, False),
    "float32_channels_last": (False, True),
    "bf16": (True, False),
    "bf16_channels_last": (True, True),
}


def rows(names: Iterable[str] = specs.ENCODERS) -> list[dict[str, Any]]:
    """Images a second for each encoder, number of dimensions and side; one column a setting."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [
            row(name, ndim, side)
            for name in names
            for ndim in specs.ENCODERS[name].dimensions
            for side in OWN_SIDES.get(name, SIDES[ndim])
        ]  # fmt: skip
    finally:
        torch.set_num_threads(threads)


def row(name: str, ndim: int, side: int) -> dict[str, Any]:
    batch = BATCH.get(name, 8)
    images = torch.randn(batch, 1, *[side] * ndim, generator=torch.Generator().manual_seed(0))
    encoder = build_encoder(specs.encoder_spec(name), channels=1, ndim=ndim, seed=0)
    best = dict.fromkeys(SETTINGS, float("inf"))
    for _ in range(ROUNDS):
        for setting, (bf16, channels_last) in SETTINGS.items():
            best[setting] = min(best[setting], seconds_per_step(encoder, images, bf16, channels_last))
    speeds = {setting: batch / seconds for setting, seconds in best.items()}
    fastest = max(speeds, key=speeds.__getitem__)
    return {"encoder": name, "ndim": ndim, "side": side, "batch": batch, **speeds, "fastest": fastest}


def seconds_per_step(encoder: Encoder, images: Tensor, bf16: bool, channels_last: bool) -> float:
    """CPU seconds of the fastest of a few steps, after one that does not count."""
    dense = torch.channels_last if images.ndim == 4 else torch.channels_last_3d
    layout = dense if channels_last else torch.contiguous_format
    encoder.to(memory_format=layout)  # type: ignore[call-overload]
    encoder.train()
    images = images.contiguous(memory_format=layout)
    optimiser = torch.optim.AdamW(encoder.parameters(), lr=1e-4)
    seconds = []
    for _ in range(1 + STEPS):
        start = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = encoder(images).float().square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seconds.append(time.process_time() - start)
    return min(seconds[1:])


def main() -> None:
    names = sys.argv[1:] or list(specs.ENCODERS)
    print(f"{'encoder':12} ndim side batch " + " ".join(f"{setting:>22}" for setting in SETTINGS) + "  images/s")
    for name in names:
        for result in rows([name]):
            speeds = " ".join(f"{result[setting]:22.1f}" for setting in SETTINGS)
            print(
                f"{name:12} {result['ndim']:4} {result['side']:4} {result['batch']:5} {speeds}  {result['fastest']}",
                flush=True,
            )


if __name__ == "__main__":
    main()
