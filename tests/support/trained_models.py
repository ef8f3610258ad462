"""Models that a benchmark trained in seconds, with the data that they were trained on."""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ctlr.cli.session import run_and_print
from ctlr.config import load
from ctlr.serving import best_model, predict_files
from ctlr.workspace import Workspace

PICTURES = """\
name: pictures
datasets:
  shapes: {kind: images, root: shapes, preprocess: {shape: [24, 16], channels: 3, normalise: percentile, dtype: uint8}}
tasks:
  what: {target: class, kind: classification}
transfers:
  - {target: {data: shapes, task: what}}
encoders: {small_cnn: {}}
methods: {scratch: {}}
sample_sizes: [6]
seeds: [0, 1]
split: {test: 8}
training: {finetune: {epochs: 2, batch_size: 6}}
report: {bootstrap: 100}
"""


def write_shapes(
    folder: Path, count: int = 32, names: tuple[str, str] = ("bars", "dots"), stem: str = "{number}"
) -> list[str]:
    """Write grey pictures of two classes; their paths below the folder, in the order of their numbers."""
    rng, files = np.random.default_rng(0), []
    for number in range(count):
        pixels = rng.integers(0, 90, (30, 22))
        pixels[:: 3 + number % 2 * 4] += 120
        name = names[number % 2]
        files.append(f"{name}/{stem.format(name=name, number=number)}.png")
        (folder / files[-1]).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / files[-1])
    return files


@dataclass(frozen=True)
class Trained:
    """A benchmark that was run, and the folder of its best model."""

    data: Path
    workspace: Workspace
    name: str

    @property
    def folder(self) -> Path:
        return self.of()

    def of(self, method: str = "") -> Path:
        """That of one of several methods; by default the best."""
        return best_model(self.workspace.root, self.name, method=method)

    def predicted(self) -> dict[str, list[float]]:
        """Subject -> predictions as the study's predictions.csv has them."""
        with (self.folder / "predictions.csv").open() as file:
            rows = list(csv.DictReader(file))
        columns = [name for name in rows[0] if name.startswith("p_")] or ["y_pred"]
        return {row["subject"]: [float(row[name]) for name in columns] for row in rows}

    def agree(self, files: Iterable[Path], subject: Callable[[Path], str]) -> None:
        """Every file that the study predicted is predicted the same."""
        known = self.predicted()
        files = [file for file in files if self.workspace.pseudonym(subject(file)) in known]
        assert len(files) == len(known) > 15
        found = predict_files(self.folder, files).reshape(len(files), -1)
        expected = [known[self.workspace.pseudonym(subject(file))] for file in files]
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


def train(file: Path) -> Trained:
    config = load(file)
    run_and_print(config, file.parent, file.parent / "workspace", workers=1, device="cpu", output="json")
    (data,) = config.datasets.values()
    return Trained(Path(data.root), Workspace(file.parent / "workspace"), config.name)  # type: ignore[union-attr]
