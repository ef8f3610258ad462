"""Recordings of signals, as a benchmark file names them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ctlr.errors import nearest
from ctlr.specs._datasets.base import DatasetSpec, Preprocessing
from ctlr.specs._datasets.montages import MONTAGES

__all__ = ["SignalsPreprocess", "SignalsSpec"]

_STARTER = """\
# ctlr run $name.yaml
#
# Your own recordings: EDF, EDF+ or BDF files below $root, with annotations in them or label files beside them, and
# participants.tsv if patients have an age or the like. Change what says "yours".
name: $name
description: What you want to know, in a sentence.

datasets:
  recordings:
    kind: signals
    root: $root # yours; relative folders start at this file
    events: annotations # or csv, csv_bi, tse: files beside the recordings; none: cut them from beginning to end
    labels: {seizure: seizure, background: background} # yours: label -> class
    preprocess: {montage: tcp, band: [0.5, 35], rate: 50, segment: 10}

tasks:
  seizure: {target: class, kind: classification}

transfers: # to learn from other recordings first, add a dataset and name it as the source
  - {target: {data: recordings, task: seizure}}
"""


def _name_or_list(montage: Any) -> Any:
    if not isinstance(montage, str | list | tuple):
        raise ValueError(f"a montage is a name or a list of channels; got {montage!r}")
    return tuple(montage) if isinstance(montage, list) else montage


def _known_montage(montage: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(montage, str):
        if montage not in MONTAGES:
            raise ValueError(f"unknown montage {montage!r}. {nearest(montage, MONTAGES)} Or list its channels.")
    elif not montage or len(set(montage)) < len(montage):
        raise ValueError("a montage lists each channel once, and one at least")
    return montage


class SignalsPreprocess(Preprocessing):
    """How recordings become rows of one array: channels x samples of a segment."""

    montage: Annotated[str | tuple[str, ...], BeforeValidator(_name_or_list), AfterValidator(_known_montage)] = "tcp"
    """`tcp` (20 bipolar differences), `tcp-ears` (22), `average` (19 electrodes less their mean), `recorded` (19 as
    they are), or a list of channels and differences: `[C3-A2, Cz]`."""
    band: tuple[Annotated[float, Field(ge=0.1)], Annotated[float, Field(le=500)]] = (0.5, 35.0)
    """Hz, from and to: a Butterworth filter of order 4, run forwards and backwards so that nothing moves in time."""
    rate: Annotated[int, Field(ge=10, le=1000)] = 50
    """Samples a second after resampling; what lies above 0.45 of it goes."""
    segment: Annotated[float, Field(gt=0, le=600)] = 10.0
    """Seconds of a row."""
    normalise: Literal["robust", "none"] = "robust"
    """robust: each channel of a segment less its median, in units of its interquartile range / 1.349 (of its standard
    deviation where half of its values are the same), cut at -10 and 10; none: microvolts."""
    dtype: Literal["float16", "float32"] = "float16"
    """How values are stored."""
    on_bad_subject: Literal["stop", "exclude"] = "stop"
    """What an unusable recording or segment does: stop the run, or be listed and left out."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.band[0] >= self.band[1]:
            raise ValueError(f"`band` goes from a lower to a higher frequency; got {list(self.band)}")
        samples = self.segment * self.rate
        if samples != round(samples) or samples < 16:
            raise ValueError(f"`segment` times `rate` must be a whole number of samples, 16 or more; got {samples:g}")
        return self

    def rows(self) -> Sequence[str]:
        """What the montage shows."""
        return MONTAGES[self.montage] if isinstance(self.montage, str) else self.montage

    def samples(self) -> int:
        """Of a segment."""
        return round(self.segment * self.rate)


class SignalsSpec(DatasetSpec):
    """A folder of EDF, EDF+ and BDF recordings, cut into segments; a patient is a subject with many of them."""

    kind: Literal["signals"] = "signals"
    preprocess: SignalsPreprocess = SignalsPreprocess()
    root: str
    """Folder; relative paths start at the benchmark file."""
    events: Literal["annotations", "csv", "csv_bi", "tse", "none"] = "annotations"
    """Where it is said what was seen and when: annotations of EDF+, files with that ending beside the recordings, or
    nowhere: recordings are then cut from beginning to end, and targets are columns of participants.tsv."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Label -> class; other labels are not used. Where channels disagree, the class that stands first wins. Without it
    each label is a class."""
    min_event: Annotated[float, Field(gt=0)] = 15.0
    """Seconds: shorter events are not used."""
    patient: str = ""
    """Regular expression whose one group is the patient's id, found in a recording's path below `root`. Without it the
    id is the `sub-XX` with which the file's name begins, else the first folder, else the name."""
    max_segments: Annotated[int, Field(ge=1)] | None = None
    """At most so many segments of a class from one recording, spread evenly; by default all."""

    recogniser: ClassVar[str] = "ctlr.data.kinds.others_seen:signals"
    reader: ClassVar[str] = "ctlr.data.kinds.signals.reading:SignalsReader"
    ndim: ClassVar[int] = 1
    lies_as: ClassVar[str] = "folder of recordings"
    starter: ClassVar[str] = _STARTER
    meant_for: ClassVar[str] = "recordings like those it was trained on, with the same electrodes"

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """(rows of the montage, samples of a segment)."""
        return (len(self.preprocess.rows()), self.preprocess.samples())

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.events != "none" and self.min_event < self.preprocess.segment:
            raise ValueError(
                f"`min_event` must be `segment` or more: no segment fits into a shorter event; got {self.min_event:g} "
                f"and {self.preprocess.segment:g} s"
            )
        try:
            groups = re.compile(self.patient).groups
        except re.error as error:
            raise ValueError(f"`patient` is no regular expression: {error}; got {self.patient!r}") from error
        if self.patient and groups != 1:
            raise ValueError(f"`patient` needs one group in parentheses, the patient's id; got {self.patient!r}")
        return self
