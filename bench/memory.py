"""Memory of a run beside what `ctlr check` foresees: `python bench/memory.py [ENCODER ...]`.

24 volumes of 32 voxels a side, one worker, one epoch: the memory of all processes together, shared pages once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ENCODERS = ("small_cnn", "sfcn", "densenet121", "resnet18", "vgg11", "resnet50")
MIB = 2**20
BENCHMARK = """\
name: memory
datasets:
  cohort: {{kind: bids, root: cohort, preprocess: {{spacing: 6, shape: [32, 32, 32]}}}}
tasks:
  age: {{target: age, kind: regression}}
  sex: {{target: sex, kind: classification}}
transfers:
  - {{source: {{data: cohort, task: sex}}, target: {{data: cohort, task: age}}}}
encoders: {{{encoder}: {{}}}}
methods: {{scratch: {{}}, supervised: {{}}}}
baselines: []
sample_sizes: [6]
seeds: [0]
split: {{test: 8}}
training: {{pretrain: {{epochs: 1, batch_size: 8}}, finetune: {{epochs: 1, batch_size: 8}}}}
"""


def main() -> None:
    """Print a line an encoder."""
    print("encoder          foreseen   measured (MiB)")
    for encoder in sys.argv[1:] or ENCODERS:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "memory.yaml"
            file.write_text(BENCHMARK.format(encoder=encoder))
            _ctlr("cohort", file.parent / "cohort", "--subjects", "24", "--spacing", "6")
            needs = json.loads(_ctlr("check", file, "-o", "json", "--workers", "1"))["needs"]["memory_bytes"]
            print(f"{encoder:<16} {needs / MIB:8.0f} {_peak(file) / MIB:10.0f}", flush=True)


def _ctlr(*arguments: object) -> str:
    command = [sys.executable, "-m", "ctlr", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _peak(file: Path) -> int:
    """Bytes of all processes together, at most, while the benchmark runs."""
    run = subprocess.Popen(
        [sys.executable, "-m", "ctlr", "run", file, "--workers", "1", "-w", file.parent / "workspace"],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    most = 0
    while run.poll() is None:
        most = max(most, sum(_processes(run.pid)))
        time.sleep(0.05)
    return most


def _processes(session: int) -> Iterator[int]:
    """Bytes of each process of a session: its own, and its part of what it shares."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[3]) != session:
                continue
            lines = (stat.parent / "smaps_rollup").read_text().splitlines()
        except (OSError, ValueError):  # it has ended
            continue
        yield from (1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()
