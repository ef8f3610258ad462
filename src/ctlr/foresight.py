"""What can be known of a run before it: what its datasets hold, whether that is enough, and what is left to do.

Of the data, names and tables alone are read.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ctlr.config import BenchmarkConfig
from ctlr.cost import RUN, Size, search_identity
from ctlr.data.identity import read_stored, remembered_identity
from ctlr.data.listing import Listing
from ctlr.data.reader import reader_of
from ctlr.engine import Arrays, jobs_left
from ctlr.errors import CtlrError
from ctlr.plan import Plan
from ctlr.pool import Job, Perform, run_jobs
from ctlr.specs import (
    DataTask,
    LeastErrorSpec,
    PretrainSpec,
    SearchResult,
    StoredArrays,
    Study,
    TargetSummary,
    TransferSpec,
)
from ctlr.workspace import Workspace

if TYPE_CHECKING:
    from ctlr.data.table import Table

__all__ = ["listings", "measure_together", "sizes", "start_timing", "stored_arrays", "summaries", "work_left"]

_SPECS: dict[str, type[Study | PretrainSpec | TransferSpec | LeastErrorSpec]] = {
    "study": Study, "pretrain": PretrainSpec, "score": TransferSpec, "assess": LeastErrorSpec,
}  # fmt: skip


def listings(plan: Plan) -> dict[str, Listing]:
    """Images of the plan's datasets, by name; those that are made or read as a whole have none.

    Raises:
        DataError: A dataset cannot be listed, or has no image that can be used.
    """
    found: dict[str, Listing] = {}
    for dataset in plan.datasets:
        listing = reader_of(dataset).listing()
        if listing is not None:
            if not listing.images:
                from ctlr.data.preprocess import refuse_faults  # numpy is slow to load

                refuse_faults(listing.faults, 0, dataset.preprocess)
            found[dataset.name] = listing
    return found


def sizes(plan: Plan, found: Mapping[str, Listing]) -> dict[str, Size]:
    """How much each listed dataset holds, with the pools that the first seed's largest study leaves.

    The split is drawn as a run draws it, so what would stop the run for too few subjects, an unknown column or a class
    that none is left of stops here, with the same words. Images that turn out to be bad are not known yet.

    Raises:
        ConfigError, DataError: As of `ctlr.data.splits.draw_split`.
    """
    known = {name: Size(subjects=listing.subjects, images=len(listing.images)) for name, listing in found.items()}
    pools: dict[str, dict[str, int]] = {name: {} for name in known}
    classes: dict[str, dict[str, int]] = {name: {} for name in known}
    for study in reversed(plan.studies):  # the largest first, so that a refusal names the size that does not fit
        name, task = study.target.data.name, study.target.task.name
        if name in known and task not in pools[name]:
            pools[name][task], classes[name][task] = _pool(study, found[name])
    return {
        name: size.model_copy(update={"pools": pools[name], "classes": classes[name]}) for name, size in known.items()
    }


def summaries(plan: Plan, found: Mapping[str, Listing]) -> list[TargetSummary]:
    """What listed datasets hold of the plan's targets, those of sources too, in the order of the studies.

    Raises:
        ConfigError, DataError: As of `ctlr.data.targets.read_targets`.
    """
    learned = {(end.data.name, end.task.name): end for study in plan.studies for end in study.learned}
    ends = [end for end in learned.values() if end.data.name in found]
    if not ends:
        return []
    from ctlr.data.summary import summarise  # numpy is slow to load

    return [summarise(_table(found[end.data.name]), end, found[end.data.name].units) for end in ends]


def _table(listing: Listing) -> Table:
    from ctlr.data.table import Table  # numpy is slow to load

    return Table.of(listing.images)


def _pool(study: Study, listing: Listing) -> tuple[int, int]:
    """Images that a study leaves to pretraining, and classes of its target."""
    from ctlr.data.splits import draw_split, rows_of  # numpy is slow to load
    from ctlr.data.targets import read_targets

    table = _table(listing)
    targets = read_targets(table, study.target.task, study.target.data.name)
    split = draw_split(table, targets, study.split, n_train=study.n_train, n_reserved=study.n_reserved, seed=study.seed)
    return len(rows_of(table, {*split.train, *split.unlabelled})), len(targets.classes)


def stored_arrays(plan: Plan, found: Mapping[str, Listing], root: Path) -> dict[str, StoredArrays]:
    """What the workspace holds of a plan's datasets already; changed files, and those never read, are not stored."""
    if not (root / "workspace.json").exists() and not root.is_file():  # which opening it refuses
        return {}
    workspace, stored = Workspace(root), {}
    for dataset in plan.datasets:
        identity = remembered_identity(dataset, found.get(dataset.name), workspace)
        if identity is not None and workspace.has("arrays", identity):
            stored[dataset.name] = read_stored(identity, workspace)
    return stored


def work_left(
    config: BenchmarkConfig, plan: Plan, searches: Sequence[SearchResult], arrays: Arrays, root: Path
) -> tuple[Plan, set[str]]:
    """What a run would still do.

    Args:
        config: The benchmark.
        plan: Its plan.
        searches: What the searches of its last run found; none unless all have ended. As long as one has not, it is not
            known what the studies are, and all of them are left.
        arrays: As `stored_arrays` found them.
        root: Workspace.

    Returns:
        The plan, with what searches have found, and the identities of the specs that are left.
    """
    left = {data.identity() for data in plan.datasets if data.name not in arrays}
    if len(searches) < len(plan.searches):
        return plan, left | _identities(plan) | _searches_left(config, plan, arrays, root)
    if searches:
        from ctlr.searches import tuned_plan  # samplers are slow to load

        plan, _ = tuned_plan(plan, searches)
    studies, at_defaults = (_ready(group, arrays) for group in (plan.studies, plan.at_defaults))
    needed = {spec.identity(): spec for spec in map(PretrainSpec.of, (*studies, *at_defaults)) if spec is not None}
    pretrainings = tuple(needed.values())
    part = plan.model_copy(update={"studies": studies, "at_defaults": at_defaults, "pretrainings": pretrainings})
    left |= _identities(plan) - _identities(part)
    jobs = jobs_left(part, arrays, Workspace(root)) if arrays else []
    return plan, left | {_SPECS[job.kind].model_validate_json(job.payload).identity() for job in jobs}


def _searches_left(config: BenchmarkConfig, plan: Plan, arrays: Arrays, root: Path) -> set[str]:
    ended = []
    if len(arrays) == len(plan.datasets):
        from ctlr.searches import ended_searches  # samplers are slow to load

        ended = ended_searches(config, plan, arrays, Workspace(root))
    return {search_identity(study) for study in plan.searches if study not in ended}


def _identities(plan: Plan) -> set[str]:
    return {spec.identity() for spec in (*plan.trained, *plan.pretrainings, *plan.transfers, *plan.least_errors)}


def _ready(studies: Sequence[Study], arrays: Arrays) -> tuple[Study, ...]:
    """Those whose images are stored."""
    return tuple(study for study in studies if all(end.data.name in arrays for end in _ends(study)))


def _ends(study: Study) -> list[DataTask]:
    return [end for end in (study.target, study.source) if end is not None]


def measure_together(
    plan: Plan, sizes: Mapping[str, Size], found: Mapping[str, Listing], *, workers: int, device: str
) -> dict[str, float]:
    """Seconds an image by `ctlr.cost.rate_key`, and what starting a worker takes, as they are with all workers busy.

    Each worker times the same few steps: processes that share a memory bus slow one another down.

    Raises:
        CtlrError: They cannot be timed.
    """
    asked = {"plan": plan.model_dump_json(), "sizes": {name: size.model_dump() for name, size in sizes.items()}}
    payload, began = json.dumps(asked), time.perf_counter()
    jobs = [Job(f"measure {number}", "measure", payload) for number in range(workers)]
    with tempfile.TemporaryDirectory() as folder:
        outcomes = run_jobs(
            jobs, start=start_timing, arguments=(device,), workers=workers, log=Path(folder), on_event=lambda _: None
        ).values()
    if faults := [outcome.reason for outcome in outcomes if not outcome.ok]:
        raise CtlrError(f"The steps could not be timed: {faults[0].rstrip('.')}. `ctlr plan` does without.")
    answers = [json.loads(outcome.answer) for outcome in outcomes]
    rates = {key: statistics.mean(each["rates"][key] for each in answers) for key in answers[0]["rates"]}
    rates[RUN] = max(0.0, time.perf_counter() - began - max(each["seconds"] for each in answers))

    from ctlr.steps.calibrate import measure_preprocessing

    return rates | measure_preprocessing(plan, found)


def start_timing(number: int, device: str) -> Perform:
    """Load torch as a worker does; return what times."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from ctlr.steps.calibrate import measure

    def perform(kind: str, payload: str, progress: Callable[[int, int, Mapping[str, float]], None]) -> str:
        began, asked = time.perf_counter(), json.loads(payload)
        sizes = {name: Size.model_validate_json(json.dumps(size)) for name, size in asked["sizes"].items()}
        rates = measure(Plan.model_validate_json(asked["plan"]), sizes, device)
        return json.dumps({"rates": rates, "seconds": time.perf_counter() - began})

    return perform
