"""What the components call: each a pure function of values and the workspace, as the laptop's steps are.

Tasks that are retried (a preempted pod) turn what a retry cannot mend (bad data, a loss that is no number) into a
value in the workspace; a task without retries raises it, or the report lists it. So no run repeats bad input. What is
returned goes into the task's artefact, for the lineage.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ctlr.cluster.submission import Submission, submitted
from ctlr.engine import check_device, gate, jobs_left, note_failure, preprocess_all, run_step
from ctlr.errors import ConfigError, CtlrError, WorkspaceError, nearest
from ctlr.plan import Plan
from ctlr.pool import Event, Job
from ctlr.specs import (
    Checkpoint,
    PretrainSpec,
    StoredArrays,
    Study,
    StudyResult,
    TransferScores,
    TransferSpec,
)
from ctlr.steps.exclusive import exclusively
from ctlr.steps.keys import pretrain_key, study_key
from ctlr.workspace import Workspace

__all__ = [
    "evaluate_study",
    "finetune_study",
    "plan_benchmark",
    "preprocess_dataset",
    "pretrain_encoder",
    "schedule_training",
    "score_pair",
]

log = logging.getLogger("ctlr")

Facts = dict[str, Any]
"""Plain words and numbers about a result: what an artefact's metadata can hold."""

DATASETS, SEARCHES = "datasets", "searches"
PRETRAININGS, SCORES, STUDIES, FLOORS = "pretrainings", "scores", "studies", "floors"


def plan_benchmark(workspace: str, benchmark: str, manifests: Mapping[str, str]) -> tuple[str, dict[str, list[str]]]:
    """Check a benchmark and lay it out.

    Args:
        workspace: Folder that every step mounts.
        benchmark: `BenchmarkConfig` as JSON; datasets' folders lie below the workspace, and manifests go by name.
        manifests: Katib manifests by that name.

    Returns:
        The submission's id; and names of the `datasets` to preprocess, of the `searches` that come before training, and
        of the `pretrainings` that those start from.

    Raises:
        ConfigError: The benchmark or a manifest breaks a rule: nothing has been done yet, and nothing is retried.
    """
    submission = submitted(benchmark, manifests, Workspace(workspace))
    plan = submission.plan
    if submission.config.tracking.backend == "mlflow" and submission.config.tracking.uri is None:
        raise ConfigError("tracking.uri: a cluster's runs need the address of an MLflow server. Name it, or set none.")
    searches: list[str] = []
    fixed: dict[str, str] = {}
    if plan.searches:
        from ctlr.cluster.tuning import search_groups  # brings the samplers, which are slow to load
        from ctlr.searches import check_manifests

        check_manifests(submission.config, plan)
        searches, fixed = list(search_groups(plan)), _fixed_pretrainings(plan)
        _add_work(submission, {PRETRAININGS: fixed})
    log.info("%s: %d studies, %d pretrainings", submission.name, len(plan.studies), len(plan.pretrainings))
    datasets = [data.name for data in plan.datasets]
    return submission.name, {DATASETS: datasets, SEARCHES: searches, PRETRAININGS: list(fixed)}


def preprocess_dataset(workspace: str, submission: str, dataset: str, *, workers: int) -> Facts:
    """Store a dataset's images; bad data are a value, which `schedule_training` raises."""
    run = Submission(Workspace(workspace), submission)
    data = next(data for data in run.plan.datasets if data.name == dataset)
    try:
        stored = preprocess_all([data], run.workspace, workers=workers, on_event=_say)[dataset]
    except WorkspaceError:
        raise  # a full disk may have room again
    except CtlrError as error:
        log.error("%s", error)
        run.keep("arrays", dataset, {"reason": error.reason, "told": str(error)})
        return {"status": "failed", "reason": error.reason}
    run.keep("arrays", dataset, stored.model_dump(mode="json"))
    return _address(run, stored.path) | {
        "status": "ok", "fingerprint": stored.fingerprint, "images": stored.rows, "subjects": stored.subjects,
        "shape": list(stored.shape), "excluded": len(stored.excluded),
    }  # fmt: skip


def schedule_training(workspace: str, submission: str, *, study: str = "") -> dict[str, list[str]]:
    """Name what is left to train, now that the images are stored and the searches have ended.

    What the workspace holds already is left out, so that it costs no pod.

    Args:
        workspace: Folder that every step mounts.
        submission: Its id.
        study: Id of the only study that is wanted; empty for all of them.

    Returns:
        `pretrainings`, `scores` (of transfers), `studies` to finetune and evaluate, and `floors`, which are evaluated
        alone (the mean predictor and the baselines).

    Raises:
        DataError, ConfigError, LeakageError: The data cannot be used so, for the whole benchmark.
    """
    run = Submission(Workspace(workspace), submission)
    arrays = run.arrays()
    gate(run.plan, arrays, run.workspace)
    _check_searches(run)
    plan = _trained_plan(run)
    if study:
        plan = _narrowed(plan, study)
    work: dict[str, dict[str, str]] = {PRETRAININGS: {}, SCORES: {}, STUDIES: {}, FLOORS: {}}
    for job in jobs_left(plan, arrays, run.workspace):
        kind, name = _named(job)
        work[kind][f"{name}-{job.id.rpartition(' ')[2][:8]}"] = job.payload
    _add_work(run, work)
    found = {kind: list(jobs) for kind, jobs in work.items()}
    log.info("to do: %s", ", ".join(f"{len(names)} {kind}" for kind, names in found.items()))
    return found


def pretrain_encoder(workspace: str, submission: str, name: str, *, device: str) -> Facts:
    """Pretrain an encoder; where its training fails, its studies fail for that reason."""
    check_device(device)
    run = Submission(Workspace(workspace), submission)
    arrays, payload = run.arrays(), _payload(run, PRETRAININGS, name)
    key = pretrain_key(PretrainSpec.model_validate_json(payload), arrays)
    outcome = run_step(Job(name, "pretrain", payload), arrays, run.workspace, device=device, on_event=_say)
    if not outcome.ok:
        run.keep("faults", key, outcome.reason)
        return {"status": "failed", "reason": outcome.reason, "fingerprint": key}
    run.forget("faults", key)
    return _trained(run, key, Checkpoint.model_validate_json(outcome.answer))


def score_pair(workspace: str, submission: str, name: str, *, device: str) -> Facts:
    """Score a transfer before anything is finetuned; one that cannot be scored is left out of the report."""
    check_device(device)
    run = Submission(Workspace(workspace), submission)
    payload = _payload(run, SCORES, name)
    pretraining = TransferSpec.model_validate_json(payload).pretraining
    arrays = run.arrays()
    if pretraining is not None and not run.workspace.has("pretrained", pretrain_key(pretraining, arrays)):
        return {"status": "failed", "reason": _why_not_pretrained(run, pretrain_key(pretraining, arrays))}
    outcome = run_step(Job(name, "score", payload), arrays, run.workspace, device=device, on_event=_say)
    if not outcome.ok:
        return {"status": "failed", "reason": outcome.reason}
    found = TransferScores.model_validate_json(outcome.answer)
    return {"status": "ok", "seconds": found.seconds, **found.scores}


def finetune_study(workspace: str, submission: str, name: str, *, device: str) -> Facts:
    """Learn a study's target; a study that fails is a value, which the report lists."""
    check_device(device)
    run = Submission(Workspace(workspace), submission)
    arrays, payload = run.arrays(), _payload(run, STUDIES, name)
    study = Study.model_validate_json(payload)
    key, spec = study_key(study, arrays), PretrainSpec.of(study)
    if spec is not None and not run.workspace.has("pretrained", pretrain_key(spec, arrays)):
        return _failed(run, study, arrays, _why_not_pretrained(run, pretrain_key(spec, arrays)))
    with exclusively(run.workspace, "finetuned", key):  # another run may be at the same study
        outcome = run_step(Job(name, "finetune", payload), arrays, run.workspace, device=device, on_event=_say)
    if not outcome.ok:
        return _failed(run, study, arrays, outcome.reason)
    return _trained(run, key, Checkpoint.model_validate_json(outcome.answer))


def evaluate_study(workspace: str, submission: str, name: str, *, device: str) -> StudyResult:
    """Score a study on its test set; one whose finetuning failed stays failed."""
    check_device(device)
    run = Submission(Workspace(workspace), submission)
    arrays = run.arrays()
    work = run.kept("work", "work") or {}
    payload = _payload(run, STUDIES if name in work.get(STUDIES, {}) else FLOORS, name)
    study = Study.model_validate_json(payload)
    key = study_key(study, arrays)
    failed = run.workspace.root / "failed" / f"{key}.json"
    if study.method.trains_network and not run.workspace.has("finetuned", key):
        return StudyResult.model_validate_json(failed.read_text())
    spec = PretrainSpec.of(study)
    if spec is not None and not run.workspace.has("pretrained", pretrain_key(spec, arrays)):
        _failed(run, study, arrays, _why_not_pretrained(run, pretrain_key(spec, arrays)))
        return StudyResult.model_validate_json(failed.read_text())
    with exclusively(run.workspace, "studies", key):
        outcome = run_step(Job(name, "evaluate", payload), arrays, run.workspace, device=device, on_event=_say)
    if not outcome.ok:
        _failed(run, study, arrays, outcome.reason)
        return StudyResult.model_validate_json(failed.read_text())
    return StudyResult.model_validate_json(outcome.answer)


def _trained_plan(run: Submission) -> Plan:
    """The plan with what its searches found."""
    if not run.plan.searches:
        return run.plan
    from ctlr.searches import tuned_plan

    return tuned_plan(run.plan, run.searches())[0]


def _fixed_pretrainings(plan: Plan) -> dict[str, str]:
    """What trials of the finetuning start from, by name: made before the searches, by pods that may use a GPU."""
    if plan.tuning is None or plan.tuning.order != "target_only":
        return {}
    specs = {spec.identity(): spec for study in plan.searches if (spec := PretrainSpec.of(study)) is not None}
    return {f"{_pretraining(spec)}-{identity[:8]}": spec.model_dump_json() for identity, spec in specs.items()}


def _pretraining(spec: PretrainSpec) -> str:
    return f"{spec.method.method}-{spec.encoder.name}-s{spec.seed}"


def _check_searches(run: Submission) -> None:
    """Refuse to train a tuned benchmark with options as they were before."""
    if len(run.searches()) == len(run.plan.searches):
        return
    from ctlr.cluster.tuning import search_groups

    reasons = [reason for group in search_groups(run.plan) if (reason := run.kept("faults", group))]
    raise ConfigError(reasons[0] if reasons else f"Searches of {run.name} are missing. Submit the whole benchmark.")


def _add_work(run: Submission, work: Mapping[str, Mapping[str, str]]) -> None:
    """Add to what is listed: another run of the same submission may be on its way through its own list."""
    with exclusively(run.workspace, "submissions", run.name):
        listed = run.kept("work", "work") or {}
        run.keep("work", "work", {kind: {**listed.get(kind, {}), **jobs} for kind, jobs in work.items()})


def _narrowed(plan: Plan, study: str) -> Plan:
    """The plan of one study."""
    wanted = tuple(each for each in plan.studies if each.id == study)
    if not wanted:
        raise ConfigError(f"{nearest(study, (each.id for each in plan.studies))} No study has the id {study!r}.")
    return plan.model_copy(update={"studies": wanted, "at_defaults": ()})


def _named(job: Job) -> tuple[str, str]:
    """The list that a job belongs to, and its name for people."""
    if job.kind == "pretrain":
        return PRETRAININGS, _pretraining(PretrainSpec.model_validate_json(job.payload))
    if job.kind == "score":
        pair = TransferSpec.model_validate_json(job.payload)
        ends = f"{pair.source.data.name}-{pair.source.task.name}-to-{pair.target.data.name}-{pair.target.task.name}"
        return SCORES, ends
    study = Study.model_validate_json(job.payload)
    kind = STUDIES if study.method.trains_network else FLOORS
    return kind, f"{study.method.label}-{study.target.task.name}-n{study.n_train}-s{study.seed}"


def _payload(run: Submission, kind: str, name: str) -> str:
    work = run.kept("work", "work")
    try:
        return str(work[kind][name])
    except (KeyError, TypeError) as error:
        raise WorkspaceError(f"Submission {run.name} lists no {name!r} among its {kind}. Submit it again.") from error


def _failed(run: Submission, study: Study, arrays: Mapping[str, StoredArrays], reason: str) -> Facts:
    log.error("%s", reason)
    note_failure(study, arrays, run.workspace, reason)
    return {"status": "failed", "reason": reason, "fingerprint": study_key(study, arrays)}


def _why_not_pretrained(run: Submission, key: str) -> str:
    return f"pretrain failed: {run.kept('faults', key) or 'it was not run'}"


def _trained(run: Submission, key: str, checkpoint: Checkpoint) -> Facts:
    return _address(run, checkpoint.path) | {
        "status": "ok", "fingerprint": key, "sha256": checkpoint.sha256, "epochs": checkpoint.epochs,
        "best_epoch": checkpoint.best_epoch, "seconds": round(checkpoint.seconds, 3),
        # After a refit nobody validates the weights: these scores are of the training that chose the epoch.
        **{f"{'before_refit' if checkpoint.refit else 'validation'}_{k}": v for k, v in checkpoint.scores.items()},
    }  # fmt: skip


def _address(run: Submission, path: str) -> Facts:
    return {"workspace": str(run.workspace.root), "path": path}


def _say(event: Event) -> None:
    """Tell a pod's log."""
    place = f" {event.done}/{event.total}" if event.total else ""
    numbers = " ".join(f"{name}={value:.4g}" for name, value in event.row.items())
    words = event.text if event.job.kind == "preprocess" or event.state == "failed" else numbers
    log.info("%s %s%s %s", event.job.id, event.state, place, words)
