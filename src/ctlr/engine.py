"""The engine: walks a plan with worker processes of this machine, beside other runs that walk the same one."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from ctlr.cost import RUN, Size, Work, fitted_images, rate_key, work_of
from ctlr.durable import read_file
from ctlr.errors import ConfigError, TakenOver
from ctlr.plan import Plan
from ctlr.pool import Event, Job, Outcome, Perform, run_jobs
from ctlr.specs import (
    Checkpoint,
    DatasetSpec,
    LeastErrors,
    LeastErrorSpec,
    PretrainSpec,
    StoredArrays,
    Study,
    StudyResult,
    TransferScores,
    TransferSpec,
    kind_of_image,
)
from ctlr.steps.keys import least_error_key, pretrain_key, study_key, transfer_key
from ctlr.workspace import Workspace, write_aside

__all__ = [
    "check_device",
    "collect",
    "collect_at_defaults",
    "collect_least_errors",
    "collect_transfers",
    "default_workers",
    "gate",
    "jobs_left",
    "keep_rates",
    "known_rates",
    "note_rates",
    "preprocess_all",
    "run_jobs_left",
    "run_pretrainings",
    "works",
]

Arrays = Mapping[str, StoredArrays]
_RATES = TypeAdapter(dict[str, float])


def default_workers(device: str, threads: int) -> int:
    """As many workers as the device has room for: GPUs, or cores by the threads that each one uses."""
    if device.startswith("cuda"):
        return max(1, len(list(Path("/dev").glob("nvidia[0-9]*")))) if device == "cuda" else 1
    return max(1, len(os.sched_getaffinity(0)) // threads)


def check_device(device: str) -> None:
    """Refuse a device that is not there, before anything is done.

    Raises:
        ConfigError: It is no device, or PyTorch finds no such GPU.
    """
    if device == "cpu":
        return
    if not re.fullmatch(r"cuda(:\d+)?", device):
        raise ConfigError(f"`--device` must be cpu, cuda or cuda:N; got {device!r}.")
    import torch  # slow to load, and not needed here for a CPU

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(device.partition(":")[2] or 0) >= count:
        raise ConfigError(
            f"`--device {device}`: PyTorch finds {count} GPUs here. Use `--device cpu`, or see `ctlr doctor`."
        )


def preprocess_all(
    datasets: Sequence[DatasetSpec], workspace: Workspace, *, workers: int, on_event: Callable[[Event], None]
) -> dict[str, StoredArrays]:
    """Preprocess every dataset that is not stored yet; another process that is at it is waited for.

    Raises:
        DataError: A dataset cannot be used; names the files.
    """
    from ctlr.data.preprocess import preprocess  # numpy and nibabel are slow to load: `ctlr plan` does without

    arrays: dict[str, StoredArrays] = {}
    for dataset in datasets:
        job = Job(f"preprocess {dataset.name}", "preprocess", "")
        on_event(Event(job, "started"))

        def progress(done: int, total: int, job: Job = job) -> None:
            on_event(Event(job, "progress", done, total))

        while dataset.name not in arrays:
            # Should this machine freeze for so long that another one takes over, then what that one makes is used.
            with contextlib.suppress(TakenOver), workspace.exclusively("arrays", "all"):
                arrays[dataset.name] = preprocess(dataset, workspace, workers=workers, progress=progress)
        on_event(Event(job, "finished", text=_stock(arrays[dataset.name])))
    return arrays


def _stock(stored: StoredArrays) -> str:
    """What preprocessing gave, without the names of those left out: a log travels."""
    left_out = len(stored.excluded)
    return f"{stored.rows} {kind_of_image(len(stored.shape) - 1)}s" + (
        f", {left_out} left out (named in {stored.path}/stored.json)" if left_out else ""
    )


def gate(plan: Plan, arrays: Arrays, workspace: Workspace) -> None:
    """Draw every split before anything trains: too few subjects, or a leak, stop the run here.

    Raises:
        ConfigError: The dataset is smaller than the plan asks for, or a column is missing.
        DataError: A target cannot be used.
        LeakageError: Two sides share a subject or an image, or a source's column repeats the target.
    """
    from ctlr.data.gate import Gate  # numpy and SciPy are slow to load: `ctlr plan` does without

    Gate(plan, arrays, workspace).check()


def run_jobs_left(
    jobs: Sequence[Job],
    arrays: Arrays,
    workspace: Workspace,
    *,
    workers: int,
    device: str,
    since: float,
    on_event: Callable[[Event], None],
) -> dict[str, Outcome]:
    """Do what is left of a plan, each job once among all runs that are at it.

    What fails leaves its reason below `failed/`; it is tried again by the next run.

    Args:
        jobs: What `jobs_left` found.
        arrays: Stored arrays by the dataset's name.
        workspace: Where results go.
        workers: Processes at most.
        device: cpu, cuda (one job a GPU) or cuda:N.
        since: When the run began, by the clock of the workspace's file system: what failed before is tried again.
        on_event: Told what happens, of jobs that other runs do as well.

    Returns:
        What came of each job, by id; whatever it raises, and the death of its process, is the outcome's reason.

    Raises:
        WorkspaceError: The workspace can take no more (full disk).
    """
    if not jobs:
        return {}

    def note(event: Event) -> None:
        if event.state == "failed" and _done_elsewhere(event.job, workspace, since) is None:
            _note_failure(event.job, event.text, arrays, workspace)
        on_event(event)

    return run_jobs(
        jobs,
        start=start_worker,
        arguments=(str(workspace.root), {name: value.model_dump_json() for name, value in arrays.items()}, device),
        workers=workers,
        log=workspace.root / "logs",
        on_event=note,
        elsewhere=lambda job: _done_elsewhere(job, workspace, since),
        taken=lambda job: workspace.is_claimed(*_made_by(job)),
    )


def run_pretrainings(
    specs: Iterable[PretrainSpec],
    arrays: Arrays,
    workspace: Workspace,
    *,
    workers: int,
    device: str,
    since: float,
    on_event: Callable[[Event], None],
) -> dict[str, str]:
    """Do those pretrainings that are not finished; return the reasons of those that failed, by key.

    Arguments as of `run_jobs_left`.
    """
    jobs = {}
    for spec in specs:
        key = pretrain_key(spec, arrays)
        if not workspace.has("pretrained", key):
            name = f"pretrain {spec.method.method} {spec.encoder.name} s{spec.seed} {key[:6]}"
            jobs[key] = Job(name, "pretrain", spec.model_dump_json(), makes=("pretrained", key))
    outcomes = run_jobs_left(
        list(jobs.values()), arrays, workspace, workers=workers, device=device, since=since, on_event=on_event
    )
    return {key: outcomes[job.id].reason for key, job in jobs.items() if not outcomes[job.id].ok}


def _made_by(job: Job) -> tuple[str, str]:
    assert job.makes is not None
    return job.makes


def _done_elsewhere(job: Job, workspace: Workspace, since: float) -> Outcome | None:
    """What came of a job that another run has done."""
    kind, key = _made_by(job)
    if workspace.has(kind, key):
        return Outcome(answer=(workspace.folder(kind, key) / "result.json").read_text())
    note = _failure_note(job, workspace)
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
        if note.stat().st_mtime >= since:
            return Outcome(reason=str(json.loads(note.read_text())["reason"]))
    return None


def _failure_note(job: Job, workspace: Workspace) -> Path:
    kind, key = _made_by(job)
    return workspace.root / "failed" / (f"{key}.json" if kind == "studies" else f"{kind}-{key}.json")


def _note_failure(job: Job, reason: str, arrays: Arrays, workspace: Workspace) -> None:
    """Leave a failed job's reason where `collect` finds a study's, and other runs find all."""
    text = json.dumps({"reason": reason})
    if job.kind == "study":
        study = Study.model_validate_json(job.payload)
        content = arrays[study.target.data.name].fingerprint
        result = StudyResult(study=study.without_folders(), status="failed", reason=reason, arrays=content)
        text = result.model_dump_json(indent=1)
    note = _failure_note(job, workspace)
    note.parent.mkdir(exist_ok=True)
    write_aside(note, text.encode())


def jobs_left(plan: Plan, arrays: Arrays, workspace: Workspace) -> list[Job]:
    """The studies, scores and estimates of a plan that are not finished, and the pretrainings that they still need."""
    jobs: dict[str, Job] = {}

    def pretraining(spec: PretrainSpec | None) -> tuple[str, ...]:
        if spec is None or workspace.has("pretrained", key := pretrain_key(spec, arrays)):
            return ()
        name = f"pretrain {key}"
        # Several studies wait for it, so that it goes before all of them.
        jobs.setdefault(name, Job(name, "pretrain", spec.model_dump_json(), cost=1e12, makes=("pretrained", key)))
        return (name,)

    for study in plan.trained:
        key = study_key(study, arrays)
        if workspace.has("studies", key):
            continue
        needs = pretraining(PretrainSpec.of(study))
        cost = study.n_train * (study.method.finetune.epochs if study.method.trains_network else 1)
        jobs[key] = Job(f"study {key}", "study", study.model_dump_json(), needs, cost, makes=("studies", key))
    for transfer in plan.transfers:
        key = transfer_key(transfer, arrays)
        if not workspace.has("transfers", key):
            needs = pretraining(transfer.pretraining)
            jobs[key] = Job(f"score {key}", "score", transfer.model_dump_json(), needs, makes=("transfers", key))
    for asked in plan.least_errors:
        key = least_error_key(asked, arrays)
        if not workspace.has("least_errors", key):
            jobs[key] = Job(f"assess {key}", "assess", asked.model_dump_json(), makes=("least_errors", key))
    return list(jobs.values())


def works(
    jobs: Iterable[Job], arrays: Arrays, seconds_per_image: Mapping[str, float], *, own: Container[str]
) -> dict[str, Work]:
    """What each job costs, by id.

    Args:
        jobs: What `jobs_left` found.
        arrays: Stored arrays by the dataset's name.
        seconds_per_image: What `known_rates` found.
        own: Identities of the benchmark's own studies.
    """
    held = {name: Size(subjects=stored.subjects, images=stored.rows) for name, stored in arrays.items()}
    found = {}
    for job in jobs:
        if job.kind == "study":
            study = Study.model_validate_json(job.payload)
            found[job.id] = work_of(study, held, seconds_per_image, own=study.identity() in own)
        elif job.kind == "pretrain":
            spec = PretrainSpec.model_validate_json(job.payload)
            found[job.id] = work_of(spec, held, seconds_per_image, own=False)
        else:
            found[job.id] = Work(like=job.kind, images=1, seconds=None, study=False)
    return found


def start_worker(number: int, root: str, arrays_json: Mapping[str, str], device: str) -> Perform:
    """Load torch once; return what performs this worker's jobs."""
    import ctlr.preloaded  # noqa: F401, I001 (first: it sets what OpenMP reads; a forked worker has it already)
    import torch

    from ctlr.steps.evaluate import evaluate
    from ctlr.steps.finetune import finetune
    from ctlr.steps.least_errors import assess_target
    from ctlr.steps.pretrain import pretrain
    from ctlr.steps.transferability import score_transfer
    from ctlr.training.placement import keep_freed_memory

    keep_freed_memory()
    workspace = Workspace(root)
    arrays = {name: StoredArrays.model_validate_json(text) for name, text in arrays_json.items()}
    where = f"cuda:{number % torch.cuda.device_count()}" if device == "cuda" and torch.cuda.is_available() else device

    def perform(kind: str, payload: str, progress: Callable[[int, int, Mapping[str, float]], None]) -> str:
        result: Checkpoint | TransferScores | LeastErrors | StudyResult
        if kind == "pretrain":
            spec = PretrainSpec.model_validate_json(payload)
            with _alone(workspace, "pretrained", pretrain_key(spec, arrays)):
                result = pretrain(spec, arrays, workspace, device=where, progress=progress)
        elif kind == "score":
            transfer = TransferSpec.model_validate_json(payload)
            with _alone(workspace, "transfers", transfer_key(transfer, arrays)):
                result = score_transfer(transfer, arrays, workspace, device=where)
        elif kind == "assess":
            asked = LeastErrorSpec.model_validate_json(payload)
            with _alone(workspace, "least_errors", least_error_key(asked, arrays)):
                result = assess_target(asked, arrays, workspace)
        else:
            study = Study.model_validate_json(payload)
            with _alone(workspace, "studies", study_key(study, arrays)):
                if study.method.trains_network:
                    finetune(study, arrays, workspace, device=where, progress=progress)
                result = evaluate(study, arrays, workspace, device=where)
        return result.model_dump_json()

    return perform


@contextlib.contextmanager
def _alone(workspace: Workspace, kind: str, identity: str) -> Iterator[None]:
    """Leave a result to whoever is at it already, or has made it while this worker was loading.

    Raises:
        TakenOver: Somebody is, or has.
    """
    with workspace.claimed(kind, identity) as free:
        if not free or workspace.has(kind, identity):
            raise TakenOver("another worker is at it")
        yield


def collect(plan: Plan, arrays: Arrays, workspace: Workspace) -> list[StudyResult]:
    """Results of a plan's studies, failed ones among them; studies that have not been run are left out."""
    results = []
    for study in plan.studies:
        key = study_key(study, arrays)
        found = _result(key, workspace)
        if found is not None:
            # Labels and folders are the caller's: equal studies of two benchmarks share one result.
            results.append(found.model_copy(update={"study": study}))
    return results


def _result(key: str, workspace: Workspace) -> StudyResult | None:
    """What came of a study; None where it has not been run."""
    if workspace.has("studies", key):
        return workspace.read("studies", key, "result.json", StudyResult.model_validate_json)
    with contextlib.suppress(FileNotFoundError, ValueError):  # a note that is damaged counts as absent
        return StudyResult.model_validate_json((workspace.root / "failed" / f"{key}.json").read_bytes())
    return None


def collect_at_defaults(plan: Plan, arrays: Arrays, workspace: Workspace) -> list[StudyResult]:
    """Results of a tuned plan's studies with the options in the file, as `collect` gives them."""
    return collect(plan.model_copy(update={"studies": plan.at_defaults}), arrays, workspace)


def collect_transfers(plan: Plan, arrays: Arrays, workspace: Workspace) -> list[TransferScores]:
    """Scores of a plan's transfers; those that have not been computed are left out."""
    keys = [key for spec in plan.transfers if workspace.has("transfers", key := transfer_key(spec, arrays))]
    return [workspace.read("transfers", key, "result.json", TransferScores.model_validate_json) for key in keys]


def collect_least_errors(plan: Plan, arrays: Arrays, workspace: Workspace) -> list[LeastErrors]:
    """Estimates of the targets' least errors; those that have not been made are left out."""
    made = [key for spec in plan.least_errors if workspace.has("least_errors", key := least_error_key(spec, arrays))]
    return [workspace.read("least_errors", key, "result.json", LeastErrors.model_validate_json) for key in made]


def known_rates(root: Path) -> dict[str, float]:
    """Seconds an image by `rate_key`, as earlier runs of a workspace left them."""
    try:
        return _RATES.validate_json(read_file(root / "rates.json"))
    except NotADirectoryError:
        raise
    except (OSError, ValueError):  # what is damaged is measured again
        return {}


def keep_rates(workspace: Workspace, rates: Mapping[str, float]) -> None:
    """Keep what was measured for the estimates of later runs; what a run has shown stays."""
    write_aside(workspace.root / "rates.json", json.dumps({**rates, **known_rates(workspace.root)}, indent=1,
                                                          sort_keys=True).encode())  # fmt: skip


def note_rates(
    plan: Plan, arrays: Arrays, workspace: Workspace, *, workers: int = 1, since: float = 0.0, seconds: float = 0.0
) -> None:
    """Keep what an image cost, for the estimates of later runs: whole steps, evaluation included.

    Args:
        plan: What was run.
        arrays: Stored arrays by the dataset's name.
        workspace: Where results lie.
        workers: Processes that shared the work.
        since: Time of day (seconds since 1970) at which the run began.
        seconds: That it took; 0 where searches took part of them, whose time is not known here.
    """
    rates = known_rates(workspace.root)
    outside = seconds
    for data in plan.datasets:
        stored, key = arrays[data.name], rate_key("preprocess", data)
        fresh = _written(workspace.root / stored.path / "stored.json") >= since
        if fresh or key not in rates:
            rates[key] = workers * stored.seconds / stored.rows
        outside -= fresh * stored.seconds
    spent: dict[str, tuple[float, int]] = {}
    for key, file, taken, images in _finished(plan, arrays, workspace):
        before = spent.get(key, (0.0, 0))
        spent[key] = (before[0] + taken, before[1] + images)
        outside -= (_written(file) >= since) * taken / workers
    rates |= {key: taken / max(1, images) for key, (taken, images) in spent.items()}
    if seconds:
        rates[RUN] = max(0.0, outside)
    write_aside(workspace.root / "rates.json", json.dumps(rates, indent=1, sort_keys=True).encode())


def _finished(plan: Plan, arrays: Arrays, workspace: Workspace) -> Iterator[tuple[str, Path, float, int]]:
    """(key, record, seconds, images) of each finished step that trains, or fits a model without a network."""
    stages: list[tuple[str, str, str]] = []
    held = {name: Size(subjects=stored.subjects, images=stored.rows) for name, stored in arrays.items()}
    for spec in plan.pretrainings:
        key = rate_key("pretrain", spec.target.data, spec.method, spec.encoder)
        stages.append((key, "pretrained", pretrain_key(spec, arrays)))
    for study in plan.trained:
        key, identity = rate_key("finetune", study.target.data, study.method, study.encoder), study_key(study, arrays)
        stages.append((key, "finetuned", identity))
        if study.method.shallow and workspace.has("studies", identity):
            file = workspace.folder("studies", identity) / "result.json"
            seconds = workspace.read("studies", identity, file.name, StudyResult.model_validate_json).seconds
            images = fitted_images(study, held)
            if "fit" in seconds and images:
                yield rate_key("fit", study.target.data, study.method), file, seconds["fit"], images
    for key, kind, identity in stages:
        if not workspace.has(kind, identity):
            continue
        file = workspace.folder(kind, identity) / "result.json"
        record = workspace.read(kind, identity, file.name, Checkpoint.model_validate_json)
        taken = max(record.wall, record.seconds)
        if kind == "finetuned" and workspace.has("studies", identity):
            judged = workspace.read("studies", identity, "result.json", StudyResult.model_validate_json)
            taken += judged.seconds.get("evaluate", 0.0)
        yield key, file, taken, record.samples


def _written(file: Path) -> float:
    return file.stat().st_mtime if file.exists() else 0.0
