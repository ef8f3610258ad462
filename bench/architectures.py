"""Regularised evolution beside random search, on the architectures of `cell_cnn` and at one budget.

    python bench/architectures.py    # eight seeds: the figures of docs/tuning.md

It runs benchmarks/architectures.yaml, which needs Debian's dataset-fashion-mnist, once a seed. A seed draws the
pictures that train and validate, the networks' weights and the proposals; both searches have the same of all. What
looked best on the validation pictures is trained once more and asked the test pictures. Finished seeds of a workspace
are read.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

__all__ = ["main"]

_FILE = Path(__file__).parents[1] / "benchmarks" / "architectures.yaml"
_SEARCHES = {"evolution": "regularizedevolution", "random": "random"}
"""Method of the file, and its algorithm."""

Floats = NDArray[np.float64]


def errors(seed: int, trials: int, workspace: Path) -> dict[str, list[float]]:
    """In per cent, by method: the median validation error of all trials but the first quarter, the least after a
    quarter, half and all of them, and the test error of what was chosen; without a search the last alone."""
    import ctlr

    algorithms = {
        f"tuning.algorithms.{method}": {"name": name, "settings": {"random_state": str(seed)}}
        for method, name in _SEARCHES.items()
    }
    overrides = {"seeds": [seed], "tuning.trials": trials, **algorithms}
    finished = ctlr.load(_FILE, overrides=overrides).run(workspace, workers=2, progress=False)
    tested = 100 * (1 - finished.results.set_index("method")["test_accuracy"])
    tried = finished.searches.sort_values("number")
    found = {"plain": [float(tested["plain"])]}
    for method in _SEARCHES:
        values = 100 * (1 - tried.loc[tried["method"] == method, "value"].to_numpy())
        best = [float(np.nanmin(values[:n])) for n in (trials // 4, trials // 2, trials)]
        found[method] = [float(np.nanmedian(values[trials // 4 :])), *best, float(tested[method])]
    return found


def interval(differences: Sequence[float]) -> str:
    """Mean of paired differences with its 95 % interval by Student's t."""
    each: Floats = np.array(differences)
    half = t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / len(each) ** 0.5
    return f"{each.mean():+.1f} ({each.mean() - half:+.1f} to {each.mean() + half:+.1f})"


def told(found: Mapping[int, Mapping[str, Sequence[float]]], trials: int) -> None:
    """Print means over seeds, and paired differences."""
    names = ["median", *(f"best of {n}" for n in (trials // 4, trials // 2, trials)), "test"]
    print(f"{len(found)} seeds, errors in per cent")
    for method in _SEARCHES:
        means = np.mean([each[method] for each in found.values()], axis=0)
        print(f"{method:12s} " + " ".join(f"{name} {mean:.1f};" for name, mean in zip(names, means, strict=True)))
    print(f"{'plain':12s} test {np.mean([each['plain'] for each in found.values()]):.1f}")
    if len(found) > 1:
        for place, name in enumerate(names):
            pairs = [each["evolution"][place] - each["random"][place] for each in found.values()]
            print(f"evolution less random, {name}: {interval(pairs)}")


def main() -> None:
    """Run the seeds, a line each, and sum them up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workspace", type=Path, default=Path("workspace"))
    arguments = parser.parse_args()
    found = {}
    for seed in range(arguments.seeds):
        found[seed] = errors(seed, arguments.trials, arguments.workspace)
        print(seed, {name: [round(value, 1) for value in values] for name, values in found[seed].items()}, flush=True)
    told(found, arguments.trials)


if __name__ == "__main__":
    main()
