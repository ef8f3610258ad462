"""Write the tables of the guide that repeat what the code says: `python docs/tables.py` brings every page up to date.

A page marks the place of a table with `<!-- table: NAME -->` and `<!-- /table -->`. NAME is a part of the schema that
`ctlr schema` prints (`SplitSpec`; `FinetuneSpec beyond FitSpec` leaves out what both have alike), `encoders`,
`what encoders are`, `generators of points`, `events`, or `what is said`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from ctlr.config import options_of, parts
from ctlr.data.kinds.points.generating import bayes_error
from ctlr.encoders import build_encoder
from ctlr.events import KINDS, SAID
from ctlr.specs import ENCODERS, GENERATORS, encoder_spec, images_of

__all__ = ["parts", "refreshed", "tables_in"]

HERE = Path(__file__).parent
REGION = re.compile(r"<!-- table: (?P<name>.+?) -->\n.*?<!-- /table -->", re.DOTALL)

SECTIONS = {
    "AlsoSpec": "tasks", "PreprocessSpec": "preprocess", "SignalsPreprocess": "preprocess-of-signals",
    "SeriesPreprocess": "preprocess-of-series", "End": "transfers", "ViewsSpec": "views", "FitSpec": "training",
    "FinetuneSpec": "training", "SplitSpec": "split", "LeakSpec": "leaks", "ComputeSpec": "compute",
    "TrackingSpec": "tracking", "ReportSpec": "report", "PlatformSpec": "platform", "TolerationSpec": "platform",
    "TuningSpec": "tuning", "AlgorithmSpec": "tuning", "RaceSpec": "tuning", "TablePreprocess": "kind-points",
    "PointsPreprocess": "kind-generated_points", "FeaturesSpec": "features",
}  # fmt: skip
"""Where on the page the options of a part stand."""


def tables_in(text: str) -> list[str]:
    """Names of the tables that a page holds."""
    return [match["name"] for match in REGION.finditer(text)]


def refreshed(text: str) -> str:
    """A page with its tables as the code has them now."""
    return REGION.sub(lambda match: _table(match["name"]), text)


def _table(name: str) -> str:
    others = {"encoders": _encoder_rows, "what encoders are": _encoder_words, "events": lambda: _event_rows(KINDS),
              "what is said": lambda: _event_rows(SAID), "generators of points": _generator_rows}  # fmt: skip
    rows = others[name]() if name in others else _option_rows(*name.split(" beyond "))
    return "\n".join([f"<!-- table: {name} -->", *rows, "<!-- /table -->"])


# ---------------------------------------------------------------- options


def _option_rows(name: str, base: str = "") -> Iterator[str]:
    yield "| Option | Values | Default | Meaning |"
    yield "|---|---|---|---|"
    for option in options_of(name, parts(), base=base, section=lambda part: f"[options](#{SECTIONS[part]})"):
        default = f"`{option.default}`" if option.default else "see there"
        if option.name in ("name", "method"):
            default = "the key"
        if option.required:
            default = "required"
        yield f"| `{option.name}` | {option.values} | {default} | {option.meaning} |"


# ---------------------------------------------------------------- encoders


CHANNELS = {0: 2, 1: 20, 2: 3, 3: 1}
"""Of the images for which weights are counted."""


def _images(ndim: int) -> str:
    return images_of(ndim).removesuffix(" images")


def _encoder_rows() -> Iterator[str]:
    yield "| Encoder | Images | Blocks | Features | Weights |"
    yield "|---|---|---:|---:|---:|"
    for name, part in ENCODERS.items():
        for ndim in part.dimensions:
            channels = CHANNELS[ndim]
            with torch.device("meta"):  # shapes are enough
                encoder = build_encoder(encoder_spec(name), channels=channels, ndim=ndim, seed=0)
            weights = sum(parameter.numel() for parameter in encoder.parameters())
            yield f"| `{name}` | {_images(ndim)} | {len(encoder.blocks)} | {encoder.width} | {weights:,} |"


def _encoder_words() -> Iterator[str]:
    yield "| Encoder | What it is | `width` | `norm: group` | Published weights |"
    yield "|---|---|---|---|---|"
    for name, part in ENCODERS.items():
        scaled = ", ".join(map(_images, part.scaled_in)) or "–"
        norms = "yes" if part.has_norms else "–"
        yield f"| `{name}` | {part.about} | {scaled} | {norms} | {part.published or '–'} |"


# ---------------------------------------------------------------- events


def _generator_rows() -> Iterator[str]:
    yield "| `generator` | Classes | `parameters` | Bayes error |"
    yield "|---|---|---|---:|"
    for name, generator in GENERATORS.items():
        told = [
            f"`{parameter}` {rule.default:g} ({rule.low:g} to {rule.high:g}): {rule.about}"
            for parameter, rule in generator.parameters.items()
        ]
        errors = {f"{100 * bayes_error(name, side):.2f} %": side for side in ("train", "test")}
        shown = " (test), ".join(reversed(errors)) + (" (train)" if len(errors) > 1 else "")
        about = f"{generator.about}: {', '.join(generator.classes)}"
        yield f"| `{name}` | {about} | {'; '.join(told)} | {shown} |"


def _event_rows(kinds: Mapping[str, str]) -> Iterator[str]:
    yield "| `kind` | Meaning, and what it says besides |"
    yield "|---|---|"
    for kind, words in kinds.items():
        yield f"| {kind} | {words} |"


if __name__ == "__main__":
    for page in sorted(HERE.glob("*.md")):
        before = page.read_text()
        if (after := refreshed(before)) != before:
            page.write_text(after)
