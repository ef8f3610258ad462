"""The answer at the top: each transfer in plain words, what holds over all of them, the benchmark at a glance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ctlr.report.answer import headline
from ctlr.report.answer.lead import Lead, lead
from ctlr.report.findings import Findings, View
from ctlr.report.race.rows import heats
from ctlr.report.race.section import race_answer
from ctlr.report.section import Section
from ctlr.report.theme.formats import duration, listed
from ctlr.report.training.advice import training_notes, training_rows
from ctlr.report.wording import Answer

__all__ = ["answer", "answer_of", "lead_of"]


def answer(found: Findings) -> Iterator[Section]:
    """Always there, also where nothing finished."""
    answers, first = list(_answers(found)), lead_of(found)
    if [answer.text for _, answer in answers] == [first.text]:
        # One answer, all of it said in one breath.
        notes = tuple(note for note in answers[0][1].notes if note != first.check)
        first, answers = replace(first, notes=notes), []
    yield Section(
        anchor="answer", heading="Answer", template="answer/answer.html.j2", folded=False,
        shows={
            "lead": first, "answers": answers, "more": _more(answers), "facts": _facts(found),
            "beyond": any(answer.text != first.text or answer.notes for _, answer in answers),
        },
    )  # fmt: skip


def lead_of(found: Findings) -> Lead:
    """Of a race, who won it; else of transfers, what they gain."""
    races = heats(found)
    if races:
        return Lead(text=race_answer(races[0], found.finished.level).text)
    first = lead(found)
    if first is not None:
        return first
    text = found.views and answer_of(found.views[0]).text
    return Lead(text=text or "There is no study, so there is nothing to compare.")


def _more(answers: Sequence[tuple[str, Answer]]) -> str:
    """What unfolds below the first words."""
    cautions = sum(len(answer.notes) for _, answer in answers)
    words = "The whole answer, in words"
    return f"{words}, and {cautions} remark{'s' * (cautions != 1)} on it" if cautions else words


def _answers(found: Findings) -> Iterator[tuple[str, Answer]]:
    """Each with its heading: of races, which ask what is best, or else of transfers, which ask what they gain."""
    races = heats(found)
    for heat in races:
        size = f", n = {heat.contest.labelled(heat.n_train)}" if len(races) > 1 else ""
        yield f"{heat.contest.task.name}{size}", race_answer(heat, found.finished.level)
    if not races:
        yield from ((view.heading, answer_of(view)) for view in found.views)


def answer_of(view: View) -> Answer:
    """What a contest found, and what weakens it."""
    found = headline.answer(view.contest, view.rows)
    notes = training_notes(view.contest, training_rows(view.contest, view.rows.gaps))
    return Answer(found.text, (*found.notes, *notes))


def _facts(found: Findings) -> list[tuple[str, str]]:
    """(what, number) of the benchmark at a glance."""
    results, seconds = found.results, found.finished.seconds
    studies = [result.study for result in results]
    finished = sum(result.status == "ok" for result in results)
    tested = sorted({count.test for view in found.views for count in view.rows.counts if count.test})
    sizes = list({r.study.n_train: r.labelled for r in sorted(results, key=lambda r: r.study.n_train)}.values())
    facts = [("Studies finished", f"{finished} of {len(results)}")]
    if studies:
        facts += [
            ("Methods", str(len({study.method.label for study in studies}))),
            (
                "Labels, training + validation",
                " and ".join(sizes) if len(sizes) < 3 else f"{sizes[0]} to {sizes[-1]}",
            ),
            ("Seeds", str(len({study.seed for study in studies}))),
        ]
    if tested:
        facts.append(("Test subjects", listed(tested)))
    return [*facts, ("Wall-clock time", duration(seconds))] if seconds else facts
