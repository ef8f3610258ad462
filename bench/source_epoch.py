"""On how many subjects may the epoch of a source task be chosen? The figures behind `keep: auto`.

    python bench/source_epoch.py [SEEDS]        # some minutes on one core

A small network learns the source task (sex, then age) from 225 subjects of the demo's cohort, as in the demo. After
every epoch it predicts 300 others, and a ridge on its features learns their age from 50 of them. From these, thousands
of watch sets are drawn: regret is how much worse the chosen epoch is than the best one, on all that do not watch.
Nothing here reads a test set.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ctlr.data.preprocess import preprocess
from ctlr.data.store import ArrayStore
from ctlr.data.targets import Targets, read_targets
from ctlr.encoders import build_encoder, build_head
from ctlr.methods.supervised import Supervised
from ctlr.specs import CohortSpec, ComputeSpec, EncoderSpec, FitSpec, PreprocessSpec, TaskSpec
from ctlr.steps.assembly import labelled_rows, task_loss
from ctlr.training.fit import Validation, fit
from ctlr.training.images import Labelled
from ctlr.training.placement import place
from ctlr.workspace import Workspace

__all__ = ["main"]

Floats = npt.NDArray[np.float64]

DATA = CohortSpec(
    name="cohort", subjects=550, seed=7, spacing=9, preprocess=PreprocessSpec(shape=(20, 20, 20), spacing=9)
)
"""The demo's people, in larger voxels: a quarter of its time."""
TASKS = {
    "sex": TaskSpec(name="sex", target="sex", kind="classification"),
    "age": TaskSpec(name="age", target="age", kind="regression"),
}
SPEC = FitSpec(epochs=20, lr=3e-3)
TRAIN, LABELLED = 225, 50
WATCHING = (25, 50, 100, 200)
DRAWS = 2000


def main() -> None:
    """Print regret by source task, schedule and number of watching subjects."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(Path(folder))
        store = ArrayStore(preprocess(DATA, workspace), workspace)
        print(f"{'source':8s}{'epoch kept':16s}{'regret, source':>22s}{'regret, target MAE':>22s}")
        for name, task in TASKS.items():
            runs = [_run(store, task, seed, Path(folder) / f"{name}-{seed}") for seed in range(seeds)]
            for kept, (source, target) in _regrets(runs).items():
                print(f"{name:8s}{kept:16s}{_shown(source):>22s}{_shown(target):>22s}", flush=True)


def _run(store: ArrayStore, task: TaskSpec, seed: int, folder: Path) -> tuple[Floats, Floats]:
    """(E, 300) loss of each epoch on each subject that was not trained on; (E,) error of a ridge on its features."""
    torch.set_num_threads(1)
    targets = read_targets(store.table, task, DATA.name)
    ages = read_targets(store.table, TASKS["age"], DATA.name).values
    order = np.random.default_rng(seed).permutation(len(store))
    train, others = np.sort(order[:TRAIN]), order[TRAIN : TRAIN + 300]
    encoder = build_encoder(EncoderSpec(name="small_cnn"), channels=1, ndim=3, seed=seed)
    placement = place(encoder, ComputeSpec(precision="float32"), "cpu", store.arrays.shape)
    loss, scaling = task_loss(targets, train, None, placement)
    head = build_head(encoder.width, loss.outputs, dropout=0.0, seed=seed)
    rows = labelled_rows(store, targets, train, placement)
    unseen = labelled_rows(store, targets, others, placement)
    losses, errors = [], []

    def look() -> Validation:
        chunks = np.array_split(np.arange(len(unseen)), 10)
        with torch.inference_mode():
            features = torch.cat([encoder(images) for images in unseen.images.batches(chunks)])
            predicted = scaling.restore(head(features.float()))
        losses.append(_losses(targets, targets.values[others], predicted))
        errors.append(_ridge_error(features.double().numpy(), ages[others]))
        return Validation(0.0, 0.0, {})

    folder.mkdir()
    objective = Supervised(encoder, head, loss)
    fit(objective, {"labelled": Labelled(rows.images, scaling.scale(rows.target))}, spec=SPEC, seed=seed,
        placement=placement, folder=folder, validate=look, keep_best=False)  # fmt: skip
    return np.stack(losses), np.array(errors)


def _losses(targets: Targets, truth: Floats, predicted: Floats) -> Floats:
    """(N,) absolute error, or 1 where the class is wrong, with the log loss as its tie-breaker."""
    if not targets.classes:
        return np.abs(predicted - truth)
    codes = truth.astype(int)
    wrong = (predicted.argmax(axis=1) != codes).astype(float)
    return np.asarray(wrong - 1e-6 * np.log(predicted[np.arange(len(codes)), codes].clip(1e-12)))


def _ridge_error(features: Floats, ages: Floats) -> float:
    """Mean absolute error in years of a ridge on the features: 50 learn, the others are asked."""
    x = (features - features[:LABELLED].mean(axis=0)) / (features[:LABELLED].std(axis=0) + 1e-9)
    mean = ages[:LABELLED].mean()
    gram = x[:LABELLED] @ x[:LABELLED].T + x.shape[1] * np.eye(LABELLED)
    predicted = x[LABELLED:] @ x[:LABELLED].T @ np.linalg.solve(gram, ages[:LABELLED] - mean) + mean
    return float(np.abs(predicted - ages[LABELLED:]).mean())


def _regrets(runs: list[tuple[Floats, Floats]]) -> dict[str, tuple[list[float], list[float]]]:
    """Epoch kept -> regret of each run on the source task (its loss) and on the target (years)."""
    found: dict[str, tuple[list[float], list[float]]] = {}
    for seed, (losses, errors) in enumerate(runs):
        rng = np.random.default_rng(seed)
        for watching in WATCHING:
            source, target = [], []
            for _ in range(DRAWS):
                watch = rng.permutation(losses.shape[1])
                rest = losses[:, watch[watching:]].mean(axis=1)
                chosen = int(losses[:, watch[:watching]].mean(axis=1).argmin())
                source.append(rest[chosen] - rest.min())
                target.append(errors[chosen] - errors.min())
            _note(found, f"best on {watching}", float(np.mean(source)), float(np.mean(target)))
        mean = losses.mean(axis=1)
        _note(found, "last", mean[-1] - mean.min(), errors[-1] - errors.min())
    few, last = found[f"best on {WATCHING[0]}"], found["last"]
    # Paired: networks differ more than rules do.
    less = tuple(list(np.subtract(a, b)) for a, b in zip(last, few, strict=True))
    return found | {f"last - best {WATCHING[0]}": (less[0], less[1])}


def _note(found: dict[str, tuple[list[float], list[float]]], kept: str, source: float, target: float) -> None:
    both = found.setdefault(kept, ([], []))
    both[0].append(source)
    both[1].append(target)


def _shown(values: list[float]) -> str:
    return f"{np.mean(values):.3f} +- {np.std(values) / len(values) ** 0.5:.3f}"


if __name__ == "__main__":
    main()
