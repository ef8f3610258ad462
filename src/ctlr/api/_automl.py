"""A model from labelled pictures in one step."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ctlr.api._file import load
from ctlr.api._frames import frame
from ctlr.api._html import paragraphs, table
from ctlr.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from ctlr.api._benchmark import Benchmark
    from ctlr.api._watching import Progress
    from ctlr.report.race.rows import Heat

__all__ = ["ImageClassifier", "ImageRegressor"]

_COLUMNS = ("place", "method", "encoder", "trials", "failed", "seconds", "validation", "test", "low", "high",
            "parameters", "options", "reason")  # fmt: skip


class _ImageModel:
    """What both tasks have alike: a folder or arrays in, the run of `ctlr automl`, a model out."""

    _regression: ClassVar[bool]

    def __init__(
        self,
        *,
        minutes: float = 10.0,
        goal: float | None = None,
        metric: str | None = None,
        families: Sequence[str] = (),
        workspace: Path | str = "workspace",
        workers: int | None = None,
        device: str = "cpu",
        seed: int = 0,
        **guidance: Any,
    ) -> None:
        """Say how the model is looked for; nothing is done yet.

        Args:
            minutes: On the clock.
            goal: Validation score at which all searching ends.
            metric: By which models are compared, e.g. `balanced_accuracy`; None: as `ctlr automl` chooses.
            families: Searches that compete, by the names that `ctlr automl --dry-run` shows; empty: all that there is
                time for.
            workspace: Folder that holds what steps make.
            workers: Trials at once; None for one a core or GPU.
            device: cpu, cuda or cuda:N.
            seed: Another seed, other sides and other draws.
            **guidance: Fields of `ctlr.automl.Guidance`, e.g. `trials`, `most_megabytes`, `side`, `test`, and of
                columns of `table` `inputs`, which a model reads beside the picture, and `also`, which it answers too.
        """
        chosen = {"minutes": minutes, "goal": goal, "metric": metric, "families": list(families), "seed": seed}
        self._guidance: dict[str, Any] = chosen | guidance
        self._workspace, self._workers, self._device = Path(workspace), workers, device
        self._benchmark: Benchmark | None = None

    def fit(
        self,
        images: Path | str | npt.NDArray[Any],
        targets: Sequence[Any] | npt.NDArray[Any] | None = None,
        *,
        progress: bool | Callable[[Progress], object] | None = None,
    ) -> Self:
        """Search a model, and ask the test set once; what is finished in the workspace is not done again.

        Args:
            images: A folder of pictures, or an array: (N, H, W), (N, H, W, 1) or (N, H, W, 3); uint8, or floats of
                which 0 is black and 1 white. Arrays are written as pictures into the workspace.
            targets: (N,) of an array; a folder's are its folders of classes, or `target` of its `table`.
            progress: As of `BenchmarkFile.run`.

        Returns:
            Itself.

        Raises:
            ConfigError, DataError, LeakageError: As of `ctlr automl`.
        """
        from ctlr.automl import Guidance, prepare
        from ctlr.engine import check_device, default_workers

        check_device(self._device)
        folder, beside = self._folder(images, targets)
        guidance = Guidance.of({"regression": self._regression, **beside, **self._guidance})
        workers = self._workers or default_workers(self._device, 1)
        prepared = prepare(folder, guidance, self._workspace, workers=workers, device=self._device)
        file = load(prepared.file)
        self._benchmark = file.run(self._workspace, workers=workers, device=self._device, progress=progress)
        return self

    @property
    def benchmark(self) -> Benchmark:
        """All that the run left, as of `ctlr.open`.

        Raises:
            ConfigError: `fit` has not been called.
        """
        if self._benchmark is None:
            raise ConfigError(f"This {type(self).__name__} has not been fitted. Call `fit` first.")
        return self._benchmark

    @property
    def model(self) -> Path:
        """Folder of the winner's model, for `ctlr.serving` and `ctlr predict`.

        Raises:
            TrainingError: No search found one.
        """
        winner = self._heat.winner
        if winner is None or not winner.path:
            reasons = [row.reason for row in self._heat.rows if row.reason]
            raise TrainingError(f"No search found a model that could be tested: {(reasons or ['no trial ended'])[0]}.")
        return self.benchmark.finished.root / winner.path

    def predict(
        self, files: Sequence[Path | str] | npt.NDArray[Any], *, inputs: Mapping[str, Sequence[Any]] | None = None
    ) -> npt.NDArray[Any]:
        """Say what new pictures show, prepared as the model's training pictures were; of several targets the first.

        Args:
            files: Pictures, or an array like that of `fit`.
            inputs: What the model reads beside them, by the column's name: a value a picture, None where unknown.

        Returns:
            (N,) names of classes, or values in the target's unit.
        """
        return next(iter(self.predict_each(files, inputs=inputs).values()))

    def predict_each(
        self, files: Sequence[Path | str] | npt.NDArray[Any], *, inputs: Mapping[str, Sequence[Any]] | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """As `predict`, by target: the first, then those of `also`."""
        import numpy as np

        from ctlr.training.checkpoint import load_model

        found = self._outputs(files, inputs)
        for answer in load_model(self.model).card.answers:
            if answer.classes:
                found[answer.target] = np.array(answer.classes)[found[answer.target].argmax(axis=1)]
        return found

    def _outputs(
        self, files: Sequence[Path | str] | npt.NDArray[Any], inputs: Mapping[str, Sequence[Any]] | None
    ) -> dict[str, npt.NDArray[Any]]:
        """(N,) values or (N, K) probabilities by target."""
        import tempfile

        from ctlr.serving import predict_each_file

        if isinstance(files, Sequence):
            return predict_each_file(self.model, files, inputs=inputs)
        with tempfile.TemporaryDirectory(prefix="ctlr-") as place:
            return predict_each_file(self.model, _write_pictures(files, Path(place)), inputs=inputs)

    @property
    def _heat(self) -> Heat:
        from ctlr.report.findings import findings
        from ctlr.report.race.rows import heats

        return heats(findings(self.benchmark.finished))[0]

    def leaderboard(self) -> pd.DataFrame:
        """Every search, best on validation first: its best trial, and what finalists come to on the test set.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return frame(self._rows, _COLUMNS)

    def report(self) -> Path:
        """The run's report, one HTML file."""
        return self.benchmark.report()

    @property
    def _rows(self) -> list[dict[str, Any]]:
        return [
            {
                "place": place, "method": row.method, "encoder": row.encoder, "trials": row.trials,
                "failed": row.failed, "seconds": row.seconds, "validation": row.validation,
                "test": row.test.mean if row.test is not None else None,
                "low": row.test.low if row.test is not None else None,
                "high": row.test.high if row.test is not None else None, "parameters": row.parameters,
                "options": dict(row.options), "reason": row.reason,
            }
            for place, row in enumerate(self._heat.rows, start=1)
        ]  # fmt: skip

    def __repr__(self) -> str:
        return f"<ctlr.{type(self).__name__}: {self._words}>"

    def _repr_html_(self) -> str:
        if self._benchmark is None:
            return paragraphs(repr(self))
        shown = [{key: row[key] for key in ("place", "method", "encoder", "validation", "test")} for row in self._rows]
        return table("The ranking, best on validation first", shown) + paragraphs(self._words)

    @property
    def _words(self) -> str:
        if self._benchmark is None:
            return f"not fitted, {self._guidance['minutes']:g} minutes"
        from ctlr.report.race.section import race_answer

        return race_answer(self._heat, self.benchmark.finished.level).text

    def _folder(
        self, images: Path | str | npt.NDArray[Any], targets: Sequence[Any] | npt.NDArray[Any] | None
    ) -> tuple[Path, Mapping[str, Any]]:
        """The pictures' folder, and what must be said of it."""
        if isinstance(images, str | Path):
            if targets is not None:
                raise ConfigError("`targets` belong to an array; those of a folder lie in it. Leave them out.")
            return Path(images), {}
        if targets is None or len(targets) != len(images):
            raise ConfigError(
                f"`targets` must hold one value an image; got {'none' if targets is None else len(targets)} for "
                f"{len(images)}."
            )
        return self._written(images, targets)

    def _written(
        self, images: npt.NDArray[Any], targets: Sequence[Any] | npt.NDArray[Any]
    ) -> tuple[Path, Mapping[str, Any]]:
        """Arrays as a folder in the workspace, named after what they hold."""
        import numpy as np

        from ctlr.specs import fingerprint
        from ctlr.workspace import Workspace

        content = np.ascontiguousarray(images)
        place = Workspace(self._workspace).root / "given" / fingerprint(
            str(content.shape), str(content.dtype), *(str(value) for value in targets), content.tobytes().hex()
        )  # fmt: skip
        if not place.exists():
            aside = place.with_name(f"{place.name}.partial")
            shutil.rmtree(aside, ignore_errors=True)
            files = _write_pictures(content, aside)
            with (aside / "targets.csv").open("w", newline="", encoding="utf-8") as stream:
                rows = [(file.name, value) for file, value in zip(files, targets, strict=True)]
                csv.writer(stream).writerows([("file", "target"), *rows])
            aside.rename(place)
        return place, {"name": "pictures", "table": "targets.csv", "target": "target"}


def _write_pictures(images: npt.NDArray[Any], folder: Path) -> list[Path]:
    """Write (N, H, W) or (N, H, W, C) as PNG files, numbered, into a folder that is made.

    Raises:
        ConfigError: They are no pictures.
    """
    import numpy as np
    from PIL import Image

    array = np.asarray(images)
    if array.ndim == 4 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[-1] != 3):
        raise ConfigError(f"images must be (N, H, W), (N, H, W, 1) or (N, H, W, 3); got {array.shape}.")
    if array.dtype != np.uint8:
        if not (np.issubdtype(array.dtype, np.floating) and np.isfinite(array).all() and array.min() >= 0
                and array.max() <= 1):  # fmt: skip
            raise ConfigError(
                f"images must be uint8, or floats from 0 (black) to 1 (white); got {array.dtype} from {array.min()} to "
                f"{array.max()}. Scale them."
            )
        levels = 65535 if array.ndim == 3 else 255  # grey pictures keep 16 bits
        array = np.rint(array * levels).astype(np.uint16 if array.ndim == 3 else np.uint8)
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{number:07}.png" for number in range(len(array))]
    for image, file in zip(array, files, strict=True):
        Image.fromarray(image).save(file)
    return files


class ImageClassifier(_ImageModel):
    """The best classifier of pictures that a time brings: the run of `ctlr automl`, from Python.

    model = ctlr.ImageClassifier(minutes=10).fit("pictures")
    model.leaderboard()
    model.predict(["new.png"])
    """

    _regression = False

    def predict_proba(
        self, files: Sequence[Path | str] | npt.NDArray[Any], *, inputs: Mapping[str, Sequence[Any]] | None = None
    ) -> npt.NDArray[np.float64]:
        """(N, K) probabilities in the order of `classes`; arguments as of `predict`."""
        return next(iter(self._outputs(files, inputs).values()))

    @property
    def classes(self) -> tuple[str, ...]:
        """Names, in the order of probabilities."""
        from ctlr.training.checkpoint import load_model

        return load_model(self.model).card.classes


class ImageRegressor(_ImageModel):
    """The best model of a number that pictures show; a folder needs a `table` with the `target`.

    model = ctlr.ImageRegressor(minutes=10, table="ages.csv", target="age").fit("pictures")
    """

    _regression = True
