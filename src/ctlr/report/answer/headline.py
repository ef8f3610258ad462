"""The answer in plain words, computed from the rows. What was not shown is not said."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ctlr.report.answer.claim_words import claim_words
from ctlr.report.answer.winner import winners
from ctlr.report.numbers.contests import Contest
from ctlr.report.numbers.rows import GainRow, Rows
from ctlr.report.theme.formats import listed, number
from ctlr.report.wording import METRIC_WORDS, Answer, gain_digits, interval, measure, percent, score_digits
from ctlr.specs import METRICS

__all__ = ["answer"]

MOST_NAMED, NAMED = 4, 3
"""Up to four methods that stand at a size are named; of more, the first three."""


def answer(contest: Contest, rows: Rows) -> Answer:
    """Say who gains over the baseline, where, and by how much; or that nobody does."""
    if not contest.cells:
        return Answer("No study finished, so there is nothing to compare.", ())
    if not rows.scores:
        return Answer(
            f"No method has a defined {METRIC_WORDS[contest.task.headline]}: there is nothing to compare.", ()
        )
    if contest.baseline is None or not any(method == contest.baseline for method, _ in contest.cells):
        text = f"No training from scratch finished, so no gain can be given. {_best(contest, rows)}"
    elif not contest.contenders:
        text = f"Only training from scratch was run, so there is nothing to hold it against. {_best(contest, rows)}"
    elif not rows.gains:
        text = f"No method finished beside ‘{contest.baseline}’, so no gain can be given. {_best(contest, rows)}"
    elif not any(row.gain.tested for row in rows.gains):
        text = f"One seed supports no verdict, so no gain is called one. {_best(contest, rows)}"
    else:
        text = _gains(contest, rows)
    return Answer(f"{winners(contest, rows)} {text}".strip(), tuple(_notes(contest, rows)))


def _sizes(contest: Contest, sizes: Sequence[int]) -> str:
    """`20 + 20, 50 + 50 and 100 + 100`."""
    return listed([contest.labelled(size) for size in sizes])


def _gains(contest: Contest, rows: Rows) -> str:
    """One clause a size; neighbouring sizes at which nothing stands share one."""
    nobody = "no method differs" if len(contest.contenders) > 1 else f"‘{contest.contenders[0]}’ does not differ"
    sizes = sorted({row.n_train for row in rows.gains if row.gain.tested})
    found = [(size, _at(contest, rows, size)) for size in sizes]
    if not any(words for _, words in found):
        return (
            f"Nothing wins: at {_sizes(contest, sizes)} labelled subjects (training + validation) {nobody} measurably "
            f"from {contest.rival}."
        )
    first = next(size for size, words in found if words)
    clauses: list[str] = []
    for words, group in itertools.groupby(found, key=lambda item: item[1]):
        where = [size for size, _ in group]
        clause = f"at {_sizes(contest, where)}{'' if clauses else ' labelled subjects (training + validation),'} "
        clause += words or f"{nobody} measurably from {'scratch' if contest.transfers else contest.rival}"
        clauses.append(f"{clause} against {contest.rival}" if first in where else clause)
    text = "; ".join(clauses)
    return f"{text[0].upper()}{text[1:]}."


def _at(contest: Contest, rows: Rows, size: int) -> str:
    """What stands at one size; empty when nothing does."""
    standing = [row for row in rows.gains if row.n_train == size and row.stands]
    gains = sorted((row for row in standing if row.direction == "gain"), key=lambda row: -row.gain.mean)
    losses = sorted((row for row in standing if row.direction == "negative"), key=lambda row: row.gain.mean)
    return ", while ".join(_phrase(contest, rows, group) for group in (gains, losses) if group)


def _phrase(contest: Contest, rows: Rows, group: Sequence[GainRow]) -> str:
    """`‘a’ lowers MAE by 1.2 years (95 % interval 0.3 to 2.1) and ‘b’ by 0.9 (0.1 to 1.7)`."""
    falls = (METRICS[contest.task.headline] == "min") == (group[0].direction == "gain")
    digits, unit = gain_digits(rows), _unit(contest)
    words = []
    shown = group if len(group) <= MOST_NAMED else group[:NAMED]
    for index, row in enumerate(shown):
        low, high = sorted((abs(row.gain.low), abs(row.gain.high)))
        verb = f" {'lowers' if falls else 'raises'} {METRIC_WORDS[contest.task.headline]}" if index == 0 else ""
        amount = f"{number(abs(row.gain.mean), digits)}{unit if index == 0 else ''}"
        label = f"{percent(rows.level)} interval " if index == 0 else ""
        harm = "; negative transfer" if row.direction == "negative" and contest.transfers else ""
        words.append(f"‘{row.method}’{verb} by {amount} ({label}{number(low, digits)} to {number(high, digits)}{harm})")
    if len(shown) < len(group):
        least, most = sorted((abs(group[-1].gain.mean), abs(group[NAMED].gain.mean)))
        rest = f"{len(group) - len(shown)} others by {number(least, digits)} to {number(most, digits)}"
        harm = " (negative transfer)" if group[0].direction == "negative" and contest.transfers else ""
        words.append(f"{rest}{harm}")
    return listed(words)


def _unit(contest: Contest) -> str:
    """` years`, where the metric has the target's unit and that is known."""
    return f" {measure(contest)}" if measure(contest) else ""


def _best(contest: Contest, rows: Rows) -> str:
    """The best mean at the largest size, without a claim."""
    largest = max(row.n_train for row in rows.scores)
    pick = min if METRICS[contest.task.headline] == "min" else max
    best = pick((row for row in rows.scores if row.n_train == largest), key=lambda row: row.estimate.mean)
    digits = score_digits(rows.scores)
    value = f"{METRIC_WORDS[contest.task.headline]} {number(best.estimate.mean, digits)}{_unit(contest)}"
    ends = f"{percent(rows.level)} interval {interval(best.estimate, digits)}"
    where = f"{contest.labelled(largest)} labelled subjects (training + validation)"
    return f"At {where} ‘{best.method}’ reaches {value} ({ends})."


def _notes(contest: Contest, rows: Rows) -> list[str]:
    word = "mean" if contest.task.kind == "regression" else "most frequent class"
    notes = _no_better(contest, rows, rows.over_mean, f"predicting the training set’s {word}", f"that {word}")
    if contest.covariates is not None:
        columns = f"what {listed(list(contest.task.inputs))} alone predict"
        notes += _no_better(contest, rows, rows.over_covariates, f"{columns} (‘{contest.covariates}’)", columns)
    notes += _hints(contest, rows)
    notes += claim_words(rows.gains, gain_digits(rows), _unit(contest), contest.labelled) if rows.gains else []
    finished = sorted({size for _, size in contest.cells})
    unpaired = [size for size in finished if (contest.baseline, size) not in contest.cells]
    if unpaired and rows.gains:
        notes.append(
            f"At {_sizes(contest, unpaired)} ‘{contest.baseline}’ has no finished study, so no gain can be given there."
        )
    untested = sorted({row.n_train for row in rows.gains if not row.gain.tested})
    if untested:
        notes.append(
            f"At {_sizes(contest, untested)} there is a single seed: its intervals tell of other test subjects, not "
            "of other training runs, and nothing is tested. List five seeds or more."
        )
    failed = sum(count.failed for count in rows.counts)
    if failed:
        total = failed + sum(count.finished for count in rows.counts)
        notes.append(f"{failed} of {total} studies failed and are missing from these numbers.")
    return notes


def _no_better(contest: Contest, rows: Rows, over: Sequence[GainRow], what: str, again: str) -> list[str]:
    """Sizes at which nobody, and winners who do not, beat a predictor that never sees an image.

    Args:
        contest: Studies of one transfer.
        rows: Of the contest.
        over: Everybody against that predictor.
        what: It says, in words that follow `better than`.
        again: The same, once it has been told of.
    """
    sizes = sorted({row.n_train for row in over if row.gain.tested})
    beaten = {(row.method, row.n_train) for row in over if row.direction == "gain"}
    hopeless = [size for size in sizes if not any(n == size for _, n in beaten)]
    notes = []
    if hopeless:
        notes.append(f"At {_sizes(contest, hopeless)} no method is measurably better than {what}.")
    winners = [row for row in rows.gains if row.stands and row.direction == "gain"]
    notes += [
        f"‘{row.method}’ at {contest.labelled(row.n_train)} gains over scratch, yet is not measurably better than "
        f"{again}."
        for row in winners
        if row.n_train in sizes and row.n_train not in hopeless and (row.method, row.n_train) not in beaten
    ]
    return notes


def _hints(contest: Contest, rows: Rows) -> list[str]:
    hints = [row for row in rows.gains if row.gain.shown and not row.stands]
    if not hints:
        return []
    if len(hints) > MOST_NAMED:
        return [
            f"Taken alone, {len(hints)} more differences would count; among {len(rows.gains)} comparisons they do not."
        ]
    words = {"gain": "gain", "negative": "loss"}
    names = listed(
        [f"the {words[row.direction]} of ‘{row.method}’ at {contest.labelled(row.n_train)}" for row in hints]
    )
    return [f"Taken alone, {names} would count; among {len(rows.gains)} comparisons that is not enough."]
