"""Benchmark files to start from, as `ctlr init` writes them."""

from __future__ import annotations

import json
import re
from string import Template

from ctlr.errors import ConfigError, nearest
from ctlr.specs import dns_name

__all__ = ["TEMPLATES", "template"]

_COHORT = """\
# ctlr run $name.yaml
#
# A synthetic brain-MRI cohort, so that nothing has to be downloaded: can the age of a brain be learned from few
# labelled subjects, and does it help to learn their sex first, or to look at unlabelled images?
name: $name
description: Age from T1-weighted MRI, few labelled subjects; sex and unlabelled images as the source.

datasets:
  cohort: {kind: cohort, subjects: 400, seed: 7, preprocess: {spacing: 6, shape: [32, 32, 32]}}

tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}

transfers: # source: what may help (leave it out if there is nothing); target: what is wanted
  - {source: {data: cohort, task: sex}, target: {data: cohort, task: age}}
"""

_BIDS = """\
# ctlr run $name.yaml
#
# Your own BIDS folder: participants.tsv and sub-*/[ses-*/]anat/*_T1w.nii[.gz]. Change what says "yours".
name: $name
description: What you want to know, in a sentence.

datasets:
  study:
    kind: bids
    root: $root # yours; relative folders start at this file
    # session: baseline               # keep one session; desc: and space: choose among derivatives
    preprocess:
      spacing: 3 # mm a voxel
      shape: [64, 64, 64]
      on_bad_subject: stop # or exclude: list unusable images and go on

tasks: # target: a column of participants.tsv
  age: {target: age, kind: regression} # yours
  sex: {target: sex, kind: classification} # yours

transfers: # source: what may help (leave it out if there is nothing); target: what is wanted
  - {source: {data: study, task: sex}, target: {data: study, task: age}}
"""

_IMAGES = """\
# ctlr run $name.yaml
#
# Your own pictures, one folder a class: $root/cat/1.png, $root/dog/1.png, … Change what says "yours".
name: $name
description: What you want to know, in a sentence.

datasets:
  pictures:
    kind: images
    root: $root # yours; relative folders start at this file
    preprocess: {shape: [64, 64], channels: 3, normalise: percentile} # channels: 1 for grey pictures

tasks: # a picture's label is its folder
  kind: {target: class, kind: classification}

transfers: # to learn from other pictures first, add a dataset and name it as the source
  - {target: {data: pictures, task: kind}}
"""

_GRID = """
encoders:
  small_cnn: {}

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

_SUPERVISED = "  supervised: {finetune: {n_frozen: 1}} # the first block keeps its pretrained weights\n"

TEMPLATES = {"cohort": _COHORT, "bids": _BIDS, "images": _IMAGES}
"""By kind of dataset."""


def template(kind: str, name: str, root: str = "data") -> str:
    """A commented benchmark file.

    Args:
        kind: Of the dataset: cohort, bids or images.
        name: Of the benchmark.
        root: Folder of the images, as it shall stand in the file; not used for a cohort.

    Raises:
        ConfigError: There is no such kind, or the name is none.
    """
    if kind not in TEMPLATES:
        raise ConfigError(f"kind: unknown kind {kind!r}. {nearest(kind, TEMPLATES)}")
    if dns_name(name, 40) != name:
        raise ConfigError(
            f"name: must be at most 40 of a-z, 0-9 and '-', a letter first; got {name!r}. Write {dns_name(name, 40)!r}."
        )
    plain = root if re.fullmatch(r"[A-Za-z./~][\w./~-]*", root) else json.dumps(root)
    return Template(TEMPLATES[kind] + _GRID).substitute(
        name=name,
        root=plain,
        supervised="" if kind == "images" else _SUPERVISED,
        stratify="" if kind == "images" else ", stratify: [sex]",
    )
