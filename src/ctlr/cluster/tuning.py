"""The searches of a tuned benchmark, in groups that can go side by side."""

from __future__ import annotations

import logging
from typing import Any

from ctlr.cluster.submission import Submission
from ctlr.engine import check_device, default_workers, gate
from ctlr.errors import ClusterError, CtlrError, WorkspaceError
from ctlr.plan import Plan
from ctlr.pool import Event
from ctlr.searches import run_searches
from ctlr.specs import PlatformSpec, PretrainSpec, SearchResult, Study, dns_name, fingerprint
from ctlr.workspace import Workspace

__all__ = ["search_groups", "tune_searches"]

log = logging.getLogger("ctlr")


def search_groups(plan: Plan) -> dict[str, tuple[Study, ...]]:
    """Searches by the name of their group.

    Those that share a pretraining stay together: they share its budget and its cost, as they do on a laptop.
    """
    groups: dict[str, list[Study]] = {}
    for study in plan.searches:
        spec = PretrainSpec.of(study)
        size = "" if spec is not None else f"-n{study.n_train}"
        label = dns_name(f"{study.method.label}-{study.target.task.name}-{study.encoder.label}{size}", 40)
        alike = study.without_folders().model_dump_json() if spec is None else spec.identity()
        shared = next((name for name in groups if name.endswith(fingerprint(alike)[:8])), None)
        groups.setdefault(shared or f"{label}-{fingerprint(alike)[:8]}", []).append(study)
    return {name: tuple(studies) for name, studies in groups.items()}


def tune_searches(workspace: str, submission: str, group: str, *, platform: PlatformSpec) -> dict[str, Any]:
    """Run a group of searches; what they found lies in the submission for `schedule_training`.

    What no retry mends (data that cannot be used, a manifest) is left to that step, which is not retried.
    """
    if platform.trials == "local":
        check_device(platform.device)
    run = Submission(Workspace(workspace), submission)
    plan = run.plan.model_copy(update={"searches": search_groups(run.plan)[group]})
    try:
        found = _find(run, plan, platform)
    except (WorkspaceError, ClusterError):
        raise  # a disk may have room again, a server may answer
    except CtlrError as error:
        run.keep("faults", group, error.reason)
        return {"status": "failed", "reason": error.reason}
    run.keep("searches", group, [search.model_dump(mode="json") for search in found])
    facts: dict[str, Any] = {"status": "ok", "workspace": str(run.workspace.root), "searches": len(found)}
    for search in found:
        best = search.reason or " ".join(f"{option}={value}" for option, value in search.assignments.items())
        facts[f"{search.study.method.label} n{search.study.n_train}"] = best
    return facts | {"trials": sum(len(stage.trials) for search in found for stage in search.stages)}


def _find(run: Submission, plan: Plan, platform: PlatformSpec) -> list[SearchResult]:
    arrays = run.arrays()
    gate(plan.model_copy(update={"studies": plan.searches}), arrays, run.workspace)
    device, workers, bench = platform.device, platform.processes, None
    if platform.trials == "katib":
        from ctlr.cluster.trials import KatibBench  # brings the Kubernetes client

        # This process watches; a GPU that it held could be the one that its trials wait for.
        device, bench = "cpu", KatibBench(run, platform, arrays, _say)
    elif device != "cpu":
        workers = default_workers(device, run.config.compute.threads)
    return run_searches(
        run.config, plan, arrays, run.workspace, workers=workers, device=device, on_event=_say, bench=bench
    )


def _say(event: Event) -> None:
    log.info("%s %s %s", event.job.id, event.state, event.text)
