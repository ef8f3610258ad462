"""What the workers of tests/test_pool.py perform; a module of its own, so that spawned processes can import it."""

import errno
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ctlr.errors import TakenOver, TrainingError, WorkspaceError
from ctlr.pool import Perform


def start(number: int) -> Perform:
    """What a test's worker performs."""

    def perform(kind: str, payload: str, progress: Callable[[int, int, Mapping[str, float]], None]) -> str:
        match kind:
            case "echo":
                progress(1, 2, {"loss": 0.5})
                return payload
            case "pid":
                time.sleep(0.2)
                return str(os.getpid())
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "exit":
                os._exit(7)
            case "raise":
                raise ZeroDivisionError("by nought")
            case "untrainable":
                raise TrainingError("the training loss became nan in epoch 3")
            case "memory":
                raise MemoryError
            case "torch memory":
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 10 bytes")
            case "lacking":
                raise OSError(errno.ENOMEM, "Cannot allocate memory")
            case "unmapped":
                raise ImportError("_svm.so: failed to map segment from shared object")
            case "expendable":
                return "".join(Path(f"/proc/{pid}/oom_score_adj").read_text() for pid in (os.getpid(), os.getppid()))
            case "orphan":
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(60)
            case "full":
                raise WorkspaceError("The disk is full.")
            case "taken once":
                if Path(payload).exists():
                    return "at last"
                Path(payload).touch()
                raise TakenOver("another worker is at it")
            case "endless":
                while True:
                    progress(1, 2, {"loss": 0.5})
                    time.sleep(0.01)
            case "tick":
                for tick in range(10**9):
                    Path(payload).write_text(str(tick))
                    progress(tick, 0, {"loss": 0.5})
            case "deaf":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                Path(payload).touch()
                time.sleep(60)
            case "sleep":
                Path(payload).write_text(str(os.getpid()))
                time.sleep(60)
        return ""

    return perform


class Interrupting:
    """An argument of `start` at whose pickling, in the middle of a worker's start, the parent gets a signal."""

    def __reduce__(self) -> tuple[Any, ...]:
        signal.raise_signal(signal.SIGTERM)
        return Interrupting, ()
