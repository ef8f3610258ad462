"""A benchmark on a disk that loses its power: an ext4 in a file, shut down as a power cut does.

    python tests/support/power_cut.py FOLDER --cuts 200

Needs root, loop devices and ext4. Each cut: a new file system, a benchmark that grows a cohort, tunes, pretrains,
finetunes, evaluates and reports; at a random moment the file system forgets all that it has not written
(EXT4_IOC_SHUTDOWN, no flush of its journal); it is mounted again, which replays the journal, and the benchmark is
resumed. It has to end with the scores of one that nobody disturbed. Steps run in one forked process.
"""

import argparse
import contextlib
import fcntl
import functools
import io
import json
import os
import random
import signal
import struct
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from tiny_bench import search_of

from ctlr.cli.session import run_and_print
from ctlr.config import load
from ctlr.crew import Event, Job
from ctlr.errors import CtlrError

__all__ = ["InlineCrew", "benchmark_file", "inline", "result"]

BENCHMARK = """\
name: power
datasets:
  cohort: {kind: cohort, subjects: 20, seed: 3, spacing: 12, preprocess: {spacing: 12, shape: [16, 16, 16]}}
tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}
transfers:
  - {source: {data: cohort, task: sex}, target: {data: cohort, task: age}}
encoders: {small_cnn: {}}
methods: {scratch: {}, supervised: {}}
sample_sizes: [4]
seeds: [0]
split: {test: 4}
training:
  pretrain: {epochs: 2}
  finetune: {epochs: 3, batch_size: 4}
tuning: {experiments: {scratch: [search.yaml], supervised: [search.yaml]}, trials: 1, parallel: 1}
tracking: {backend: none}
report: {bootstrap: 100}
"""
FORGET = 0x8004587D  # EXT4_IOC_SHUTDOWN
WITHOUT_FLUSH = struct.pack("I", 2)


class InlineCrew:
    """A crew without processes: a job is done while it listens."""

    hires = False

    def __init__(
        self,
        start: Callable[..., Any],
        arguments: tuple[Any, ...],
        workers: int,
        log: Path,
        on_ready: Callable[[Job], object] = bool,
    ) -> None:
        self._start = functools.cache(lambda: start(0, *arguments))
        self._jobs: list[Job] = []

    @property
    def has_room(self) -> bool:
        return not self._jobs

    def give(self, job: Job) -> None:
        self._jobs.append(job)

    def listen(self, seconds: float | None = None) -> list[Event]:
        job, events = self._jobs.pop(), list[Event]()

        def progress(done: int, total: int, row: Mapping[str, float]) -> None:
            events.append(Event(job, "progress", done, total, row=row))

        try:
            answer = self._start()(job.kind, job.payload, progress)
            return [*events, Event(job, "finished", text=answer)]
        except CtlrError as error:
            return [*events, Event(job, "failed", text=str(error))]

    def dismiss(self) -> None:
        self._jobs.clear()


@contextlib.contextmanager
def inline() -> Iterator[None]:
    """Do all work of the block in this process; the report's figures are left blank, which halves it."""
    with (
        mock.patch("ctlr.pool.Crew", InlineCrew),
        mock.patch("ctlr.trials.Crew", InlineCrew),
        mock.patch("ctlr.report.theme.svg.inline", return_value="<svg/>"),
    ):
        yield


def benchmark_file(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the benchmark and its search."""
    (folder / "search.yaml").write_text(search_of("finetune.lr"))
    text = BENCHMARK
    for before, after in changes:
        text = text.replace(before, after)
    (folder / "power.yaml").write_text(text)
    return folder / "power.yaml"


def result(file: Path, workspace: Path) -> list[dict[str, Any]]:
    """Run what is left of the benchmark; its records without what a clock or a key says."""
    out = io.StringIO()
    with inline(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        run_and_print(load(file), file.parent, workspace, workers=1, device="cpu", output="json")
    records = json.loads(out.getvalue())["results"]
    return [{key: value for key, value in record.items() if not key.startswith("seconds")} for record in records]


# ---------------------------------------------------------------- the disk


def _run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


class Disk:
    """An ext4 in a file."""

    def __init__(self, folder: Path) -> None:
        self.image, self.place = folder / "disk.img", folder / "disk"
        self.place.mkdir(exist_ok=True)

    def format(self) -> None:
        self.image.unlink(missing_ok=True)
        with self.image.open("wb") as file:
            file.truncate(96 << 20)
        _run("mkfs.ext4", "-q", "-F", self.image)
        self.mount()

    def mount(self) -> None:
        _run("mount", "-o", "loop", self.image, self.place)

    def cut(self) -> None:
        """Lose what is not written."""
        place = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(place, FORGET, WITHOUT_FLUSH)
        finally:
            os.close(place)

    def unmount(self) -> None:
        for _ in range(50):  # the dead take a moment to let go of it
            with contextlib.suppress(subprocess.CalledProcessError):
                return _run("umount", self.place)
            time.sleep(0.1)
        raise RuntimeError(f"{self.place} stays busy")

    def restart(self) -> None:
        """Mount what is left. A copy: who has seen the mount in a namespace of its own may hold on to the dead one."""
        self.unmount()
        copy = self.image.with_suffix(".left")
        _run("cp", "--sparse=always", self.image, copy)
        copy.replace(self.image)
        self.mount()


def forked(work: Callable[[], Any], answer: Path) -> int:
    """Start work in a process of its own, which leaves its answer in a file: [ok, what came of it]."""
    pid = os.fork()
    if pid:
        return pid
    try:
        found = [True, work()]
    except BaseException:  # noqa: BLE001 (it is told to the parent)
        found = [False, traceback.format_exc()]
    answer.write_text(json.dumps(found))
    os._exit(0)


def finished(pid: int, answer: Path) -> tuple[bool, Any]:
    os.waitpid(pid, 0)
    ok, found = json.loads(answer.read_text())
    return ok, found


def cut_once(disk: Disk, file: Path, answer: Path, seconds: float, expected: Any) -> str:
    """One power cut; why it could not be resumed, or nothing."""
    disk.format()
    try:
        run = forked(lambda: result(file, disk.place / "workspace"), answer)
        time.sleep(seconds)
        disk.cut()
        os.kill(run, signal.SIGKILL)
        os.waitpid(run, 0)
        disk.restart()
        ok, found = finished(forked(lambda: result(file, disk.place / "workspace"), answer), answer)
    finally:
        disk.unmount()
    if not ok:
        return str(found).strip().splitlines()[-1]
    return "" if found == expected else "other scores"


def cuts(folder: Path, number: int, seed: int, *changes: tuple[str, str]) -> Iterator[tuple[float, str]]:
    """Moment and fault of each cut."""
    # What takes long to load, before the first fork; nothing trains here: a child must not inherit threads.
    import scipy.stats  # noqa: F401
    import sklearn.metrics  # noqa: F401
    import torch

    import ctlr.data.kinds.cohort.growing
    import ctlr.engine
    import ctlr.report.sections
    import ctlr.searches
    import ctlr.steps.trial
    import ctlr.tracking  # noqa: F401

    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    disk, file, answer = Disk(folder), benchmark_file(folder, *changes), folder / "answer.json"
    disk.format()
    began = time.monotonic()
    try:
        ok, expected = finished(forked(lambda: result(file, disk.place / "workspace"), answer), answer)
    finally:
        disk.unmount()
    assert ok, expected
    whole = time.monotonic() - began
    rng = random.Random(seed)
    for _ in range(number):
        seconds = rng.uniform(0, 1.1 * whole)
        yield seconds, cut_once(disk, file, answer, seconds, expected)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cuts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tracked", action="store_true", help="with MLflow's database in the workspace")
    options = parser.parse_args()
    changes = [("{backend: none}", "{backend: mlflow}")] if options.tracked else []
    options.folder.mkdir(parents=True, exist_ok=True)
    faults = []
    for number, (seconds, fault) in enumerate(cuts(options.folder.absolute(), options.cuts, options.seed, *changes), 1):
        faults += [fault] if fault else []
        print(f"{number}: cut after {seconds:.2f} s: {fault or 'resumed'}", flush=True)
    print(f"{len(faults)} of {options.cuts} cuts could not be resumed")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
