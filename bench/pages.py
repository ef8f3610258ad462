"""The app in a real Chromium with a search of 10,000 trials, beside Optuna's dashboard: `python -m bench pages`.

Our pages come with their rows: they are there once something is painted. Optuna's dashboard paints an empty frame first
and then asks for its trials; its seconds end when they have reached the browser, before it draws them. Both have the
same trials, in a file each (Optuna's journal, which is quicker to it than SQLite).
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from chromium import CHROMIUM, Chromium
from long_run import write_long_run

__all__ = ["rows"]

TRIALS, REPEATS = 10_000, 5
_PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
_PORT = 8713
_READY, _PAGE, _HEARD = 5.0, 1.0, 1.0
"""Most seconds of a start, of a page, and until an event is in an open page."""


def rows() -> Iterator[dict[str, Any]]:
    """One row a page; seconds of the clock."""
    if CHROMIUM is None:
        raise RuntimeError("needs a Chromium (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_long_run(folder / "workspace", TRIALS)
        browser = Chromium(folder / "profile")
        try:
            browser.open("data:text/html,<p>warm</p>")
            theirs = _theirs(browser, folder)
            yield from _ours(browser, folder / "workspace", theirs)
        finally:
            browser.close()


def _ours(browser: Chromium, workspace: Path, theirs: tuple[float, float] | None) -> Iterator[dict[str, Any]]:
    from ctlr.events import EventLog, events_path

    words = [sys.executable, "-m", "ctlr", "ui", "-w", str(workspace), "--port", "0"]
    began = time.perf_counter()
    with _process(words) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[1].rstrip("/")
        yield _row("ctlr ui, from its start to ready", time.perf_counter() - began, None, _READY)
        page = f"{address}/runs/many"
        first = _seconds(browser, page, _PAINTED)
        again = statistics.median(_seconds(browser, page, _PAINTED) for _ in range(REPEATS))
        assert f"{TRIALS} trials" in browser.ask("document.body.innerText")
        what = f"page of {TRIALS:,} trials"
        for times, seconds in (("first time", first), (f"again, median of {REPEATS}", again)):
            yield _row(f"{what}, until painted, {times}", seconds, None, _PAGE)
        if theirs is not None:
            yield _row("the same, first time: Optuna's dashboard", first, theirs[0], _PAGE)
            yield _row("the same, again: Optuna's dashboard", again, theirs[1], _PAGE)
        failed = f"{page}?status=Failed&sort=seconds&order=down"
        took = statistics.median(_seconds(browser, failed, _PAINTED) for _ in range(REPEATS))
        yield _row(f"{what}, filtered and sorted, median of {REPEATS}", took, None, _PAGE)
        browser.open(page)
        browser.until("document.querySelector('#feed') !== null")
        heard, log = [], EventLog(events_path(workspace, "many"))
        for number in range(REPEATS):
            began = time.perf_counter()
            log.write("step.taken", step=f"event number {number}")
            browser.until(f"document.querySelector('#feed').innerText.includes('event number {number}')")
            heard.append(time.perf_counter() - began)
        log.close()
        what = f"an event until it is in the open page, median of {REPEATS}"
        yield _row(what, statistics.median(heard), None, _HEARD)


def _theirs(browser: Chromium, folder: Path) -> tuple[float, float] | None:
    """Until the trials are with the browser, the first time and later; None where it is not installed."""
    if find_spec("optuna_dashboard") is None:
        return None
    import numpy as np
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    numbers = optuna.distributions
    space: dict[str, Any] = {"lr": numbers.FloatDistribution(1e-5, 0.1, log=True),
                             "weight_decay": numbers.FloatDistribution(0, 1),
                             "epochs": numbers.IntDistribution(1, 50)}  # fmt: skip
    file, rng = folder / "journal.log", np.random.default_rng(0)
    journal = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(file)))
    study = optuna.create_study(storage=journal, study_name="many", direction="maximize")
    for _ in range(TRIALS):
        values = {"lr": 10 ** rng.uniform(-5, -1), "weight_decay": rng.uniform(), "epochs": 30}
        study.add_trial(optuna.trial.create_trial(value=rng.uniform(), params=values, distributions=space))
    words = [str(Path(sys.executable).parent / "optuna-dashboard"), str(file), "--port", str(_PORT)]
    came = "performance.getEntriesByType('resource').find(e => e.name.includes('/api/studies/') && e.responseEnd)"
    with _process(words):
        address = f"http://127.0.0.1:{_PORT}/dashboard/studies/0/trialTable"
        time.sleep(5)
        each = [_seconds(browser, address, f"{came}?.responseEnd") for _ in range(1 + REPEATS)]
    return each[0], statistics.median(each[1:])


@contextmanager
def _process(words: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _seconds(browser: Chromium, address: str, expression: str) -> float:
    """What an expression says of a page, from asking for it; it says milliseconds."""
    browser.open("about:blank")
    browser.open(address)
    return float(browser.until(expression, 120)) / 1000


def _row(name: str, seconds: float, theirs: float | None, limit: float) -> dict[str, Any]:
    """With a rival, the ratio is theirs to ours; without, seconds and their limit."""
    name = f"{name}, s: at most {limit:g}" if theirs is None else f"{name}, s"
    return {"name": name, "ours": seconds, "theirs": theirs, "ratio": None if theirs is None else theirs / seconds,
            "target": limit if theirs is None else 1.0}  # fmt: skip
