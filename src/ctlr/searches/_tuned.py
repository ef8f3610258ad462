"""The plan with what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctlr.plan import Plan
from ctlr.specs import PretrainSpec, SearchResult, Study, StudyResult
from ctlr.tuning.options import with_options

__all__ = ["tuned_plan"]


def tuned_plan(plan: Plan, searches: Sequence[SearchResult]) -> tuple[Plan, list[StudyResult]]:
    """Put what was found into the study of every seed.

    Studies at defaults stay as they are, where there is a tuned one to hold against them. Those of a search that a race
    has dropped are not run.

    Returns:
        The plan of the studies that can be run, and the failed results of those whose search found nothing.
    """
    found = {_cell(search.study): search for search in searches}
    studies: list[Study] = []
    lost = []
    tuned: dict[tuple[str, int], Study] = {}
    for study in plan.studies:
        search = found.get(_cell(study))
        if search is None:
            studies.append(study)
        elif search.dropped:
            continue
        elif search.reason:
            lost.append(StudyResult(study=study, status="failed", reason=search.reason))
        else:
            studies.append(with_options(study, search.assignments))
            if (spec := PretrainSpec.of(study)) is not None:
                tuned.setdefault((spec.identity(), study.n_train), studies[-1])
    studies = [_following(study, tuned) for study in studies]
    at_defaults = [study for study in plan.at_defaults if not found[_cell(study)].reason]
    needed = [spec for spec in map(PretrainSpec.of, (*studies, *at_defaults)) if spec is not None]
    pretrainings = {spec.identity(): spec for spec in needed}
    changed = {"studies": studies, "at_defaults": at_defaults, "pretrainings": pretrainings.values()}
    return plan.model_copy(update={name: tuple(values) for name, values in changed.items()}), lost


def _following(study: Study, tuned: Mapping[tuple[str, int], Study]) -> Study:
    """A source's model that stands unchanged is the one that tuning has pretrained, where it was the same before."""
    spec = PretrainSpec.of(study)
    leader = tuned.get((spec.identity(), study.n_train)) if spec is not None and not study.method.pretrains else None
    if leader is None:
        return study
    return study.model_copy(update={"method": study.method.following(leader.method), "encoder": leader.encoder})


def _cell(study: Study) -> tuple[str, ...]:
    """What the studies of one search have alike."""
    study = study.without_folders()
    ends = [end.identity() if end else "" for end in (study.target, study.source)]
    return (*ends, study.method.label, study.encoder.label, str(study.n_train))
