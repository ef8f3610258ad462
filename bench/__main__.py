"""Every comparison in one run: `make bench`, or `python -m bench [NAME ...]` for some of them.

`python bench/encoders.py`, which chooses the encoders' memory formats, compares settings instead and runs by itself.
`python -m bench statistics` has no rival either: it simulates what intervals and verdicts promise.
`python -m bench drift` says how often drift is found, and how often there is none.
`python -m bench expert` compares scores instead of speed: CTLR's, and those of plain PyTorch scripts (docs/by-hand.md).
`python -m bench gpu` needs a GPU (`make gpu`).
"""

from __future__ import annotations

import importlib
import sys

from bench.jobs import rows_of

BENCHES = ("commands", "preprocess", "views", "training", "tuning", "proposals", "tables", "distances", "pipelines",
           "finetuning", "copies", "points", "signals", "tiling", "autotuners", "serving", "pages",
           "automl")  # fmt: skip

WHY = {
    "64 x 64 x 64": "the second core adds 0.5 of the first to ours, as threads or processes, and 1.0 to the rivals",
    "regret after 50 trials, Hartmann-6, q = 1": "half of all seeds, ours and theirs, end in a local minimum at 0.12: "
    "the median jumps. With 20 seeds it is 0.065 and 0.046, and yet ours are better in 58 of 100 pairs",
    "240 x 256 x 176": "inflating the file takes 0.6 of our time, and a second core adds 0.6 of the first",
}
"""What stands behind a target that is missed, by the beginning of its name."""


def main() -> int:
    """Print one table; ratios of 1 or more are to CTLR's advantage, and `!` marks a target that is missed.

    Returns:
        1 where a row failed: the others are there all the same.
    """
    if sys.argv[1:] == ["drift"]:
        return importlib.import_module("bench.drift").main()
    if sys.argv[1:] == ["statistics"]:
        return importlib.import_module("bench.simulation").main()
    if sys.argv[1:2] == ["expert"]:
        return importlib.import_module("bench.expert.compare").main(sys.argv[2:])
    failed = []
    print(f"{'':78s} {'CTLR':>9s} {'other':>9s} {'ratio':>7s} {'target':>7s}")
    for name in sys.argv[1:] or BENCHES:
        for row in rows_of(name):
            if "failed" in row:
                failed.append(row["name"])
                print(f"{row['name']:78s} failed: {row['failed']}", flush=True)
                continue
            target = row.get("target")
            # A row without a rival has seconds and a limit instead of a ratio.
            kept = target is None or (row["ours"] <= target if row["ratio"] is None else row["ratio"] >= target)
            missed = "" if kept else "!"
            shown = "-" if target is None else f"{target:g}"
            theirs = "-" if row["theirs"] is None else f"{row['theirs']:.4g}"
            ratio = "-" if row["ratio"] is None else f"{row['ratio']:.2f}"
            print(f"{row['name']:78s} {row['ours']:9.4g} {theirs:>9s} {ratio:>7s} {shown:>7s} {missed}", flush=True)
            for start, why in WHY.items():
                if missed and row["name"].startswith(start):
                    print(f"    missed: {why}")
    if failed:
        print(f"{len(failed)} failed: {'; '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
