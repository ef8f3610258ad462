"""The sections of a report, in the order of the page.

A section is a folder with its rows, words, drawings and template, and a line here. It says itself whether it has
something to say.
"""

from __future__ import annotations

from ctlr.report.answer.section import answer
from ctlr.report.baselines.section import baselines
from ctlr.report.bayes_error.section import bayes_error
from ctlr.report.by_hand.section import by_hand
from ctlr.report.compared.section import compared
from ctlr.report.cost.section import cost
from ctlr.report.gains.section import gains
from ctlr.report.groups.section import groups
from ctlr.report.layers.section import layers
from ctlr.report.missing.section import excluded, failed
from ctlr.report.model_card.section import model_card
from ctlr.report.pairs.section import pairs
from ctlr.report.predictions.section import predictions
from ctlr.report.provenance.section import provenance
from ctlr.report.race.section import race
from ctlr.report.reading.section import reading
from ctlr.report.scores.section import scores
from ctlr.report.section import Part, Saying
from ctlr.report.seen.section import seen
from ctlr.report.surfaces.section import surfaces
from ctlr.report.sweeps.section import sweeps
from ctlr.report.training.section import training
from ctlr.report.transfer.section import transfers
from ctlr.report.tuning.section import tuning

__all__ = ["OF_A_TRANSFER", "SECTIONS"]

OF_A_TRANSFER: tuple[Part, ...] = (
    scores,
    gains,
    by_hand,
    bayes_error,
    surfaces,
    baselines,
    layers,
    predictions,
    groups,
    training,
)

SECTIONS: tuple[Saying, ...] = (
    answer,
    race,
    pairs,
    transfers(OF_A_TRANSFER),
    sweeps,
    tuning,
    compared,
    seen,
    cost,
    failed,
    excluded,
    reading,
    provenance,
    model_card,
)
