"""Benchmark files to start from, as `ctlr init` writes them."""

from __future__ import annotations

import json
import re
from string import Template

from ctlr.errors import ConfigError, nearest
from ctlr.specs import DATASETS, dns_name

__all__ = ["STARTING", "template"]

_GRID = """
encoders:
  $encoder: {}

methods: # the mean or majority predictor is always added
  scratch: {} # the baseline of every gain
$supervised  simclr: {temperature: 0.2}
  vat: {}

sample_sizes: [20, 50, 100] # labelled training subjects
seeds: [0, 1, 2]

split: {test: 0.25$stratify} # as many validation as training subjects, unless `validation` says otherwise

training: # for every method that does not set its own
  pretrain: {epochs: 30}
  finetune: {epochs: 40}

tracking: {backend: none} # mlflow: records every run (pip install 'ctlr[tracking]')
"""

STARTING = {0: "mlp", 1: "cnn1d", 2: "small_cnn", 3: "small_cnn"}
"""Encoder to begin with, by the sides of an image."""

_SUPERVISED = "  supervised: {finetune: {n_frozen: 1}} # the first block keeps its pretrained weights\n"


def template(kind: str, name: str, root: str = "data") -> str:
    """A commented benchmark file.

    Args:
        kind: Of the dataset, one that has a `starter`.
        name: Of the benchmark.
        root: Folder of the images, as it shall stand in the file; not used where it lies in none.

    Raises:
        ConfigError: There is no such kind, or the name is none.
    """
    openings = {known: data.starter for known, data in DATASETS.items() if data.starter}
    if kind not in openings:
        raise ConfigError(f"kind: unknown kind {kind!r}. {nearest(kind, openings)}")
    if dns_name(name, 40) != name:
        raise ConfigError(
            f"name: must be at most 40 of a-z, 0-9 and '-', a letter first; got {name!r}. Write {dns_name(name, 40)!r}."
        )
    plain = root if re.fullmatch(r"[A-Za-z./~][\w./~-]*", root) else json.dumps(root)
    opening = openings[kind]
    return Template(opening + _GRID).substitute(
        name=name,
        root=plain,
        encoder=STARTING[DATASETS[kind].ndim],
        supervised=_SUPERVISED if "{source: " in opening else "",
        stratify=", stratify: [sex]" if "  sex: " in opening else "",
    )
