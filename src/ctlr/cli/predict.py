"""`ctlr predict`: what a model says of files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from ctlr.cli.options import cells_in, model_options, table_options

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ctlr.serving import FilePrediction
    from ctlr.specs import Answer, ModelCard

__all__ = ["predict"]

SOME_FAILED = 3


@click.command()
@model_options
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILES|FOLDER...")
@click.option("--output", "-o", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True,
              help="Form of the predictions.")  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path),
              help="File that they are written to, instead of stdout.")  # fmt: skip
@table_options
@click.option("--strict", is_flag=True, help="Predict nothing where a file does not fit the model.")
@click.option("--device", default="cpu", show_default=True, help="`cpu` or `cuda`.")
@click.option("--threads", type=click.IntRange(1), help="Of the processor; by default one a core.")
def predict(
    model: Path, files: tuple[Path, ...], output: str, out: Path | None, table: Path | None, file_column: str,
    strict: bool, device: str, threads: int | None,
) -> int:  # fmt: skip
    """Predict files with MODEL, a model's folder or a workspace (its best model); one row a file.

    Folders are walked for files of the model's kind. A file that does not fit has a reason instead of a prediction, and
    the exit code is 3.
    """
    import torch

    from ctlr.cli.show import counting, show_rows
    from ctlr.errors import ConfigError, DataError
    from ctlr.serving import files_in, predict_each
    from ctlr.serving._files import preparation_for
    from ctlr.training.checkpoint import load_model
    from ctlr.workspace import write_aside

    if out is not None and not out.parent.is_dir():
        raise ConfigError(f"{out.parent} is no folder. Make it first, or name a file elsewhere.")
    if threads is not None:
        torch.set_num_threads(threads)
    loaded = load_model(model, device)
    named = files_in(files, preparation_for(loaded, model.name))
    columns = None if table is None else cells_in(table, file_column, named, loaded.card)
    found = []
    with counting("files") as progress:
        for prediction in predict_each(loaded, named, inputs=columns):
            if strict and prediction.reason:
                raise DataError(prediction.reason, place=str(prediction.file))
            found.append(prediction)
            progress(len(found), len(named))
    if out is not None:
        write_aside(out, _text(found, loaded.card, "csv" if output == "table" else output).encode())
        click.echo(f"{out} written: {len(found)} files.", err=True)
    elif output == "table":
        show_rows(loaded.card.target, [_row(prediction, loaded.card) for prediction in found])
    else:
        click.echo(_text(found, loaded.card, output), nl=False)
    if failed := sum(bool(prediction.reason) for prediction in found):
        click.echo(f"{failed} of {len(found)} files do not fit the model; `reason` says why.", err=True)
        return SOME_FAILED if failed < len(found) else DataError.exit_code
    return 0


def _row(found: FilePrediction, card: ModelCard) -> dict[str, str]:
    """As in a study's predictions.csv: its columns, its digits; those of other targets begin with `also_`."""
    from ctlr.cells import guarded
    from ctlr.specs import also_name

    first, *others = card.answers
    row = {"file": guarded(str(found.file))} | _cells(found.values, first)
    if not first.classes:
        row["unit"] = card.preparation.units if card.preparation else ""
    for each in others:
        cells = _cells(found.also.get(each.target), each)
        row |= {f"{also_name(each.target)}_{name}": cell for name, cell in cells.items()}
    return row | {"reason": guarded(found.reason)}


def _cells(values: npt.NDArray[np.float64] | None, answer: Answer) -> dict[str, str]:
    from ctlr.cells import guarded

    told = [""] * answer.width if values is None else [f"{float(value):.6g}" for value in values]
    if not answer.classes:
        return {"y_pred": told[0]}
    best = "" if values is None else guarded(answer.classes[int(values.argmax())])
    return {"y_pred": best} | {f"p_{name}": value for name, value in zip(answer.classes, told, strict=True)}


def _text(found: Sequence[FilePrediction], card: ModelCard, output: str) -> str:
    from ctlr.serving._files import worded

    if output == "json":
        told = [
            {"file": str(each.file)} | ({"reason": each.reason} if each.values is None else worded(each, card))
            for each in found
        ]
        return json.dumps(told, indent=2) + "\n"
    rows = [_row(each, card) for each in found]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
