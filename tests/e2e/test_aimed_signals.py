"""`ctlr tune` under fire: signals in its first moments, again and again, and the search goes on.

Here a few; more of them: `CTLR_SIGNALS=100 pytest tests/e2e/test_aimed_signals.py`. Five hundred, each at a line of its
own, in tests/test_interrupts.py.
"""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from plain_manifest import PROGRAM
from power_cut import benchmark_file
from terminal import Running, ctlr

from ctlr.tuning.engine import read_journal

SIGNALS = int(os.environ.get("CTLR_SIGNALS", "1"))
MANY = PROGRAM.replace("maxTrialCount: 3", "maxTrialCount: 100000")
WARM = MANY.replace("loss", "val_mae").replace(
    '[sh, -c, "echo val_mae=${trialParameters.x}"]',
    '[ctlr, trial, power.yaml, --study=scratch, "--set=dropout=${trialParameters.x}", "--set=epochs=2"]',
).replace('min: "-1", max: "1"', 'min: "0", max: "0.5"')  # fmt: skip
ENDED_BY_A_SECOND = {-signal.SIGINT, -signal.SIGTERM}
PATIENCE_SECONDS = 120


def fire(run: Running, journal: Path, rng: random.Random) -> bool:
    """Send a signal soon after the run's first events; whether a second one followed."""
    before = journal.stat().st_size if journal.exists() else 0
    run.wait_for(lambda: journal.exists() and journal.stat().st_size > before)
    time.sleep(rng.uniform(0, 0.3))
    number, group = rng.choice([signal.SIGINT, signal.SIGTERM]), rng.random() < 0.5
    run.signal(number, group=group)
    if rng.random() < 0.7:
        return False
    time.sleep(rng.uniform(0, 0.1))
    if run.process.poll() is None:
        run.signal(signal.SIGINT, group=group)
    return True


@pytest.mark.parametrize("manifest", [WARM, MANY], ids=["warm", "programs"])
def test_a_search_under_fire_ends_each_time_and_goes_on(manifest: str, tmp_path: Path) -> None:
    assert manifest != PROGRAM
    benchmark_file(tmp_path, ("tuning:", "# tuning:"))
    (tmp_path / "many.yaml").write_text(manifest)
    rng = random.Random(0)
    journal = tmp_path / "workspace" / "experiments" / "square" / "journal.jsonl"
    for number in range(SIGNALS):
        with Running("tune", "many.yaml", "--resume", "--workers", "2", folder=tmp_path) as run:
            twice = fire(run, journal, rng)
            try:
                code = run.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                pytest.fail(f"signal {number} hangs it")
            assert code == 130 or (twice and code in ENDED_BY_A_SECOND), run.finish()
            assert "Traceback" not in run.finish().err
            assert run.left() == [], f"signal {number} leaves a process"
    history = read_journal(journal.parent)
    assert history is not None
    trials = len(history.trials)
    last = ctlr("tune", "many.yaml", "--resume", "--workers", "2", "--max-trials", str(trials + 1), folder=tmp_path)
    assert last.code == 0, last.err
    after = read_journal(journal.parent)
    assert after is not None
    assert {trial.status for trial in after.trials} == {"Succeeded"}
    assert len(after.trials) == trials + 1
