"""Labelled series of the UEA and aeon archives, as a benchmark file names them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ctlr.specs._datasets.base import DatasetSpec, Preprocessing

__all__ = ["SeriesPreprocess", "SeriesSpec"]

_STARTER = """\
# ctlr run $name.yaml
#
# Labelled series in the format of the UEA and aeon archives: $root/NAME_TRAIN.ts and NAME_TEST.ts. Change what says
# "yours".
name: $name
description: What you want to know, in a sentence.

datasets:
  series:
    kind: series
    root: $root # yours; relative folders start at this file
    preprocess: {shape: [6, 896]} # yours: channels and values a channel

tasks: # the label of a series is the last field of its line
  label: {target: class, kind: classification}

transfers: # to learn from other series first, add a dataset and name it as the source
  - {target: {data: series, task: label}}
"""


class SeriesPreprocess(Preprocessing):
    """How series become rows of one array."""

    shape: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=16)]]
    """Channels, and values a channel: what the files hold."""
    normalise: Literal["robust", "none"] = "robust"
    """robust: each channel of a series less its median, in units of its interquartile range / 1.349 (of its standard
    deviation where half of its values are the same), cut at -10 and 10; none: as it is."""
    dtype: Literal["float16", "float32"] = "float16"
    """How values are stored."""
    on_bad_subject: Literal["stop", "exclude"] = "stop"
    """What an unusable series does: stop the run, or be listed and left out."""


class SeriesSpec(DatasetSpec):
    """Labelled series: NAME_TRAIN.ts and NAME_TEST.ts of the UEA and aeon archives; each is a subject of its own."""

    kind: Literal["series"] = "series"
    preprocess: SeriesPreprocess
    root: str
    """Folder; relative paths start at the benchmark file."""
    set: str = ""
    """Name before `_TRAIN.ts` and `_TEST.ts`, where several sets lie in the folder."""

    recogniser: ClassVar[str] = "ctlr.data.kinds.others_seen:series"
    reader: ClassVar[str] = "ctlr.data.kinds.series:SeriesReader"
    ndim: ClassVar[int] = 1
    classes_only: ClassVar[bool] = True
    starter: ClassVar[str] = _STARTER
    meant_for: ClassVar[str] = "series recorded in the same way as those it was trained on"

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """(channels, values a channel)."""
        return self.preprocess.shape

    @property
    def known_classes(self) -> frozenset[str]:
        """The files have their own."""
        return frozenset()
