"""Run every method on every split of a folder: `python -m bench.expert SPLITS SCORES.csv`."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import torch
from bench.expert import scratch, simclr, supervised, vat
from bench.expert.data import load

METHODS = {"scratch": scratch.run, "supervised": supervised.run, "simclr": simclr.run, "vat": vat.run}


def main() -> None:
    torch.set_num_threads(1)
    with Path(sys.argv[2]).open("w", newline="") as file:
        rows = csv.writer(file)
        for split in sorted(Path(sys.argv[1]).glob("*.json")):
            source, target = load(split)
            for name, run in METHODS.items():
                torch.manual_seed(int(split.stem.rpartition("-")[2]))
                for metric, value in target.scores(run(source, target), "test").items():
                    rows.writerow([split.stem, name, metric, value])
            print(split.stem, flush=True)


if __name__ == "__main__":
    main()
