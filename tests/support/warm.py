"""`ctlr` and `python` for tests, begun in milliseconds: forked from a process that has loaded everything.

The command is the same code in a process of its own, with the caller's streams, folder and environment; what it does
not show is how long Python takes to load, and PYTHONPATH does not reach it. Held against the cold command on 27
November 2026: the pages of the guide print the same by either. README's commands stay cold, and so do those of
tests/e2e that are interrupted, and the pipeline of the example package.

    python warm.py SERVE DESCRIPTOR  the process that loads, and forks
    python warm.py SOCKET WORDS      the command, `-m MODULE ...` or `-c CODE`: hands its streams over, and ends as the
                                     fork does
"""

import json
import os
import runpy
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["warm_programs"]

_LOADED = (
    "ctlr.preloaded",
    "ctlr.running",
    "ctlr.report.page",
    "ctlr.searches",
    "matplotlib.figure",
    "nibabel",
    "PIL.Image",
)


@contextmanager
def warm_programs(folder: Path) -> Iterator[Path]:
    """A folder of a `ctlr`, for PATH, and a `warm-python` for `-m` and `-c`, which need not load anything."""
    place, programs = folder / "socket", folder / "bin"
    programs.mkdir()
    for name, words in {"ctlr": "-m ctlr", "warm-python": ""}.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{__file__}" "{place}" {words} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CTLR_")}
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen(8)
        with subprocess.Popen(
            [sys.executable, __file__, "SERVE", str(listening.fileno())], pass_fds=[listening.fileno()],
            env={**environment, "OMP_NUM_THREADS": "1"},
        ) as server:  # fmt: skip
            try:
                yield programs
            finally:
                server.kill()


def _serve(descriptor: int) -> None:
    import importlib

    for name in _LOADED:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks tell their ends themselves
    listening = socket.socket(fileno=descriptor)
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _command(connection)
        connection.close()


def _command(connection: socket.socket) -> None:
    """Be the command that was asked for, and tell its exit code."""
    import multiprocessing.process

    from forked import forked_workers

    from ctlr import crew

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    data, streams, _, _ = socket.recv_fds(connection, 1 << 20, 3)
    wish = json.loads(data)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    # Line by line, so that both streams stand in order where they are one.
    sys.stdout = open(1, "w", 1, encoding="utf-8", closefd=False)  # noqa: SIM115 (they end with the process)
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.chdir(wish["folder"])
    os.environ.clear()
    os.environ.update(wish["environment"])
    option, program, *sys.argv[1:] = wish["words"]
    sys.path[0] = ""
    crew._FORKS = False  # workers are forked from this process, in place of one that loads all of it again
    code = 1
    try:
        with forked_workers():
            if option == "-c":
                exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})
            else:
                runpy.run_module(program, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001 (what Python prints when a program dies)
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    for child in multiprocessing.process.active_children():
        child.terminate()
    connection.sendall(bytes([code]))
    os._exit(code)


def _ask(place: str, words: list[str]) -> int:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        wish = {"words": words, "folder": os.getcwd(), "environment": dict(os.environ)}
        socket.send_fds(connection, [json.dumps(wish).encode()], [0, 1, 2])
        answer = connection.recv(1)
    return answer[0] if answer else 1


if __name__ == "__main__":
    if sys.argv[1] == "SERVE":
        _serve(int(sys.argv[2]))
    else:
        sys.exit(_ask(sys.argv[1], sys.argv[2:]))
