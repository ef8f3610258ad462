"""What happened in the runs of a benchmark, as `runs/<benchmark>/events.jsonl` of the workspace tells it.

The run that leads writes it, whoever watches; on a cluster each worker tells what it does itself. Each line is a JSON
object with `n` (from 1, without gaps, on through every run of the benchmark), `time` (seconds since 1970), `kind` (one
of `KINDS`) and what belongs to that kind. A line is in the file before the next thing happens, so that a run that is
killed leaves at most one that is cut; the next run takes it away and counts on.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, Self

from ctlr.claims import exclusively, is_claimed
from ctlr.cost import Work
from ctlr.crew import Event, Job
from ctlr.errors import CtlrError, brief
from ctlr.interrupts import held
from ctlr.specs import LeastErrorSpec, PretrainSpec, Study, StudyResult, TransferSpec
from ctlr.wishes import clock, heeded

__all__ = [
    "KINDS",
    "MOST_BYTES",
    "SAID",
    "EventLog",
    "Recorded",
    "SharedLog",
    "Silent",
    "Teller",
    "UnkeptLog",
    "Watcher",
    "events_path",
    "parsed",
    "process_start",
    "read_events",
    "readable",
    "recorded",
]

KINDS: Mapping[str, str] = {
    "run.began": "a run leads: `benchmark`, its `identity`, `studies`, `workers`, `pid`, `started` (when that process "
    "did), `host`; on a cluster the `run` of Kubeflow Pipelines and its `submission`, in the place of a process",
    "run.planned": "what it has left to do: `steps`, without preprocessing and tuning, and by step its `work`: at most "
    "so many `images` through the loss, `seconds` by the rate of an earlier run, or null, `like`, equal where an "
    "image costs about the same, and whether it is a `study` of the benchmark",
    "run.paused": "somebody wants it to pause: its workers hold at their next epoch, and its clock stands",
    "run.continued": "it goes on after a pause",
    "run.ended": "it is through, and its report is written: `seconds`, but for a cluster's",
    "run.interrupted": "Ctrl-C or SIGTERM ended it: `seconds`",
    "run.failed": "an error ended it: `seconds`, but for a cluster's, and `reason`",
    "step.started": "`step`, its `name`, `of` (preprocess, tune, pretrain, score, assess or study); of a study also "
    "`method`, `encoder`, `source`, `target`, `n_train`, `seed`, `metric` and `direction`; of a search `metric`, "
    "`direction`, `trials` and `budget_seconds`, null where there is none, or `race_seconds`, which the searches "
    "of a race share",
    "worker.starting": "a new worker loads PyTorch before it begins with the `step`",
    "worker.started": "it is there, and begins: `step`, `seconds`",
    "step.progress": "`step`, `done` of `total` images or epochs, and the last epoch's numbers in `row`",
    "step.finished": "`step`, `seconds`, `text`; of a study its `validation` score and its `device_seconds`",
    "step.failed": "`step`, `seconds`, `reason`",
    "step.taken": "another run is at the `step`",
    "trial.started": "a trial of the search `step`: `round`, `number` in it, its `name`, `parameters`",
    "trial.reported": "`step`, `round`, `number`, `report` (counts from 1), `metrics`, `seconds`",
    "trial.ended": "`step`, `round`, `number`, `parameters`, `status` (Katib's words), `value`, `seconds`, `reason`",
}
"""Every kind of event, and what it says."""

SAID: Mapping[str, str] = {
    "note": "a `text` for the person who started the command",
    "kept": "after Ctrl-C: how many `steps`, `of` how many, and `trials` are done, the epochs of the steps' "
    "`checkpoints`, and the `command` that goes on",
    "error": "the command ends by an error: `reason` and `exit_code`",
}
"""What a command with `-o json` says on stderr besides these events; its lines have `time` and `kind`, and no `n`."""

MOST_BYTES = 32 * 2**20
"""Length of the file from which on `step.progress` and `trial.reported` are left out."""
_CHATTER = ("step.progress", "trial.reported")
_TAIL_BYTES = 2**16
"""Of a file, at first, in which its last event is looked for."""
_PAUSE_SECONDS = 0.5
"""Between two rows of one step, or two reports of one trial; the last of each is always told."""

Facts = dict[str, Any]


class Watcher(Protocol):
    """Told what happens in a run, in the process and the thread that called it."""

    def begin(self, benchmark: str, studies: int, workers: int, workspace: Path) -> None:
        """The run begins: its workspace is locked, and nothing is done yet."""

    def __enter__(self) -> Any:
        """Steps begin."""

    def __exit__(self, *error: Any) -> None:
        """They have ended, or were interrupted."""

    def expect(self, names: Mapping[str, str]) -> None:
        """These jobs are left to do, by id with a readable name; those of preprocessing and tuning are not counted."""

    def __call__(self, event: Event) -> None:
        """Something happened to a job."""

    def told(self, event: Facts) -> None:
        """An event, as the file has it; after `__call__` where that was told the same."""


class Silent:
    """Tells nobody."""

    def begin(self, benchmark: str, studies: int, workers: int, workspace: Path) -> None:
        """Nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing."""

    def expect(self, names: Mapping[str, str]) -> None:
        """Nothing."""

    def __call__(self, event: Event) -> None:
        """Nothing."""

    def told(self, event: Facts) -> None:
        """Nothing."""


def events_path(root: Path, benchmark: str) -> Path:
    """Where a workspace keeps the events of a benchmark's runs."""
    return root / "runs" / benchmark / "events.jsonl"


def read_events(path: Path, *, after: int = 0) -> Iterator[Facts]:
    """The events of a file from the one after a number on; a last line that is cut is passed over."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            event = parsed(line)
            if event is not None and event["n"] > after:
                yield event


def parsed(line: bytes) -> Facts | None:
    """The event of a line; None where it is none, or cut."""
    if line.endswith(b"\n"):
        with contextlib.suppress(ValueError, RecursionError):
            event = json.loads(line)
            if isinstance(event, dict) and isinstance(event.get("n"), int):
                return event
    return None


class EventLog:
    """Appends events to a file; the caller sees to it that nobody else does.

    A volume that takes no more ends the record, and not the run, which meets the full disk where it matters.

    Args:
        path: Made, with its folder, when it does not exist.
        tell: Told every event, those too that the file has no room for, which have no `n`.
    """

    def __init__(self, path: Path, tell: Callable[[Facts], object] = bool) -> None:
        self._tell = tell
        path.parent.mkdir(parents=True, exist_ok=True)
        self._place = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        self._number, self._length = self._restored()
        self._writes = True

    def _restored(self) -> tuple[int, int]:
        """The last event's number, and where it ends; what stands behind it is taken away."""
        with open(self._place, "rb", closefd=False) as file:
            length = file.seek(0, os.SEEK_END)
            start = end = length
            while start:
                start = max(0, start - max(_TAIL_BYTES, end - start))
                file.seek(start)
                if (found := _last_event(file.read(end - start), whole=start == 0)) is not None:
                    number, end = found[0], start + found[1]
                    break
            else:
                number, end = 0, 0
        if end < length:
            os.ftruncate(self._place, end)
        return number, end

    def write(self, kind: str, **facts: Any) -> None:
        """Append an event; numbers that are not finite become null."""
        with held():  # a signal comes before a line or after it
            event = _made(kind, facts)
            if self._writes and (kind not in _CHATTER or self._length < MOST_BYTES):
                event = {"n": self._number + 1} | event
                line = json.dumps(event, separators=(",", ":")).encode() + b"\n"
                try:
                    self._writes = os.write(self._place, line) == len(line)
                except OSError:
                    self._writes = False
                self._number += 1
                self._length += len(line)
            self._tell(event)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._place)


def _last_event(data: bytes, *, whole: bool) -> tuple[int, int] | None:
    """Number and end of the last event in the end of a file; its first line may be cut unless it is the whole file."""
    end = len(data)
    while end:
        start = data.rfind(b"\n", 0, end - 1) + 1
        if start == 0 and not whole:
            return None
        if (event := parsed(data[start:end])) is not None:
            return event["n"], end
        end = start
    return None


class SharedLog:
    """Appends to a benchmark's events from several pods: one event at a time among them, numbered after the last.

    While a run leads in the workspace (`ctlr run`), that alone tells.

    Args:
        root: Of the workspace.
        benchmark: Whose events they are.
    """

    def __init__(self, root: Path, benchmark: str) -> None:
        self._root, self._benchmark = root, benchmark

    def write(self, kind: str, **facts: Any) -> None:
        """As of `EventLog`."""
        if is_claimed(self._root, "runs", "lead"):
            return
        with contextlib.suppress(OSError), exclusively(self._root, "runs", f"tell-{self._benchmark}"):
            log = EventLog(events_path(self._root, self._benchmark))
            try:
                log.write(kind, **facts)
            finally:
                log.close()


class UnkeptLog:
    """Tells events, numbered from 1, and keeps them nowhere."""

    def __init__(self, tell: Callable[[Facts], object]) -> None:
        self._tell, self._number = tell, 0

    def write(self, kind: str, **facts: Any) -> None:
        """As of `EventLog`."""
        self._number += 1
        self._tell({"n": self._number} | _made(kind, facts))

    def close(self) -> None:
        """Nothing."""


def _made(kind: str, facts: Facts) -> Facts:
    return {"time": round(time.time(), 3), "kind": kind, **_finite(facts)}


def _finite(value: Any) -> Any:
    """JSON knows neither NaN nor infinity."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def recorded(
    watcher: Watcher, root: Path, benchmark: str, identity: str = "", *, leads: bool = True
) -> Iterator[Recorded]:
    """A watcher that passes on what it is told and has it recorded, with how the block ends.

    Args:
        watcher: Told everything.
        root: Of the workspace.
        benchmark: Its name.
        identity: Of the benchmark: another one under the same name shares nothing with it.
        leads: Whether it is this run that the file tells of; what one that joins it does is told to its watcher alone.
    """
    log = EventLog(events_path(root, benchmark), watcher.told) if leads else UnkeptLog(watcher.told)
    began = clock()

    def end(kind: str, **facts: str) -> None:
        log.write(kind, seconds=round(clock() - began, 3), **facts)

    def pause(paused: bool) -> None:
        log.write("run.paused" if paused else "run.continued")

    try:
        with heeded(root, benchmark, pause if leads else None):
            yield Recorded(watcher, log, identity)
    except KeyboardInterrupt:
        end("run.interrupted")
        raise
    except CtlrError as error:
        end("run.failed", reason=error.reason or str(error))
        raise
    except BaseException as error:
        end("run.failed", reason=brief(f"{type(error).__name__}: {error}"))
        raise
    else:
        end("run.ended")
    finally:
        log.close()


class Recorded:
    """Passes on what happens in a run, and writes it into a log."""

    def __init__(self, watcher: Watcher, log: EventLog | UnkeptLog, identity: str = "") -> None:
        self._watcher, self._log, self._identity = watcher, log, identity
        self._tell = Teller(log)

    def begin(self, benchmark: str, studies: int, workers: int, workspace: Path) -> None:
        """A run leads."""
        self._watcher.begin(benchmark, studies, workers, workspace)
        self._log.write(
            "run.began", benchmark=benchmark, identity=self._identity, studies=studies, workers=workers,
            pid=os.getpid(), started=process_start(os.getpid()), host=socket.gethostname(),
        )  # fmt: skip

    def __enter__(self) -> Self:
        self._watcher.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._watcher.__exit__(*error)

    def expect(self, names: Mapping[str, str], work: Mapping[str, Work] = MappingProxyType({})) -> None:
        """Know how much is to come."""
        self._watcher.expect(names)
        told = {name: each.model_dump(mode="json") for name, each in work.items()}
        self._log.write("run.planned", steps=len(names), **({"work": told} if told else {}))

    def __call__(self, event: Event) -> None:
        """Something happened to a step, or to a trial of a search."""
        self._watcher(event)
        self._tell(event)


class Teller:
    """Writes what happens to steps, and to trials of searches, into a log."""

    def __init__(self, log: EventLog | SharedLog | UnkeptLog) -> None:
        self._log = log
        self._began: dict[str, float] = {}
        self._hired: dict[str, float] = {}
        """Steps whose workers start: since when."""
        self._told: dict[object, float] = {}
        """When a row of a step, or a report of a trial, was last written."""
        self._waiting: dict[object, Callable[[], None]] = {}
        """The last one, where it came too soon."""

    def __call__(self, event: Event) -> None:
        """Something happened."""
        if event.trial is not None:
            self._trial(event)
        elif event.state == "progress":
            self._chatter(
                event.job.id, "step.progress", step=event.job.id, done=event.done, total=event.total, row=event.row
            )
        else:
            self._step(event)

    def _step(self, event: Event) -> None:
        job, now = event.job, clock()
        if event.state == "started":
            self._began[job.id] = now
            self._log.write("step.started", step=job.id, name=readable(job), of=job.kind, **_facts(job), **event.facts)
            return
        if event.state in ("starting", "ready"):
            self._worker(event, now)
            return
        self._settle(job.id)
        self._hired.pop(job.id, None)
        if event.state == "taken":  # it ends elsewhere, or is begun again
            self._log.write("step.taken", step=job.id)
            return
        if job.id not in self._began:  # another run has done it
            self._log.write("step.started", step=job.id, name=readable(job), of=job.kind, **_facts(job))
        took = round(now - self._began.pop(job.id, now), 3)
        if event.state == "finished":
            self._log.write("step.finished", step=job.id, seconds=took, **_outcome(event))
        else:
            self._log.write("step.failed", step=job.id, seconds=took, reason=event.text)

    def _worker(self, event: Event, now: float) -> None:
        if event.state == "starting":
            self._hired[event.job.id] = now
            self._log.write("worker.starting", step=event.job.id)
        elif (since := self._hired.pop(event.job.id, None)) is not None:
            self._log.write("worker.started", step=event.job.id, seconds=round(now - since, 3))

    def _trial(self, event: Event) -> None:
        news = event.trial
        assert news is not None
        trial, place = news.trial, {"step": event.job.id, "round": news.round, "number": news.trial.number}
        key = tuple(place.values())
        if news.report is not None:
            report = news.report
            self._chatter(
                key, "trial.reported", **place, report=report.step, metrics=report.metrics, seconds=report.seconds
            )
        elif trial.ended:
            self._settle(key)
            self._log.write(
                "trial.ended", **place, parameters=trial.assignments, status=trial.status, value=trial.value,
                seconds=round(trial.seconds, 3), reason=brief(trial.reason),
            )  # fmt: skip
        else:
            self._log.write("trial.started", **place, name=trial.name, parameters=trial.assignments)

    def _chatter(self, key: object, kind: str, **facts: Any) -> None:
        """Write what comes often at most every so often; the last one waits until there is time, or nothing follows."""
        write = functools.partial(self._log.write, kind, **facts)
        now = time.monotonic()
        if now - self._told.get(key, -math.inf) < _PAUSE_SECONDS:
            self._waiting[key] = write
        else:
            self._told[key] = now
            self._waiting.pop(key, None)
            write()

    def _settle(self, key: object) -> None:
        """Nothing follows of a step or a trial."""
        self._told.pop(key, None)
        if (write := self._waiting.pop(key, None)) is not None:
            write()


def readable(job: Job) -> str:
    """Name of a job for people; its id where that is one."""
    match job.kind:
        case "study":
            return Study.model_validate_json(job.payload).id
        case "score":
            return _scored(TransferSpec.model_validate_json(job.payload))
        case "assess":
            end = LeastErrorSpec.model_validate_json(job.payload).target
            return f"assess {end.data.name}.{end.task.name}"
        case "pretrain":
            spec = PretrainSpec.model_validate_json(job.payload)
            return f"pretrain {spec.method.method} {spec.encoder.name} s{spec.seed}"
        case _:
            return job.id


def _scored(spec: TransferSpec) -> str:
    source, target = (f"{end.data.name}.{end.task.name}" for end in (spec.source, spec.target))
    made = f"{spec.pretraining.encoder.name} s{spec.seed}" if spec.pretraining else "distances"
    return f"score {source} to {target} {made}"


def _facts(job: Job) -> Facts:
    """What a step is about."""
    if job.kind == "study":
        study = Study.model_validate_json(job.payload)
        source, target = (f"{end.data.name}.{end.task.name}" if end else "" for end in (study.source, study.target))
        return {
            "study": study.id, "method": study.method.label, "encoder": study.encoder.label, "source": source,
            "target": target, "n_train": study.n_train, "seed": study.seed, "metric": study.target.task.headline,
            "direction": study.target.task.direction,
        }  # fmt: skip
    if job.kind == "pretrain":
        spec = PretrainSpec.model_validate_json(job.payload)
        return {"method": spec.method.method, "encoder": spec.encoder.name, "seed": spec.seed}
    return {}


def _outcome(event: Event) -> Facts:
    """What came of a step; a test score is for the report."""
    if event.job.kind == "study":
        result = StudyResult.model_validate_json(event.text)
        validation = result.chosen_by.get(result.study.target.task.headline)
        return {"text": "", "validation": validation, "device_seconds": round(sum(result.seconds.values()), 3)}
    return {"text": event.text if event.job.kind in ("preprocess", "tune") else ""}


def process_start(pid: int) -> float | None:
    """When a process of this machine started, in clock ticks after the machine did; None where it has ended.

    With its number this tells it from every other process: numbers are used again.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else float(fields[19])
    return None
