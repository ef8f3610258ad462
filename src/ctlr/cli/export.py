"""`ctlr export`: a model as one file for other programs."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from ctlr.cli.options import model_options

__all__ = ["export"]

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@model_options
@click.option("--onnx", type=_FILE, help="ONNX file to write; needs `ctlr[export]`.")
@click.option("--torchscript", type=_FILE, help="TorchScript file to write.")
def export(model: Path, onnx: Path | None, torchscript: Path | None) -> None:
    """Write MODEL as ONNX or TorchScript, and check that it predicts the same.

    It takes prepared images (N, C, height, width[, depth]) of any N, and (N,) cells of each column that the model reads
    beside them, and gives what `ctlr predict` gives; the model's card is in its metadata.
    """
    from ctlr.errors import ConfigError
    from ctlr.serving import export_onnx, export_torchscript
    from ctlr.training.checkpoint import load_model

    if onnx is None and torchscript is None:
        raise ConfigError("`--onnx FILE`, `--torchscript FILE` or both must say what is written. Add one.")
    loaded = load_model(model)
    for file, write in ((onnx, export_onnx), (torchscript, export_torchscript)):
        if file is not None:
            difference = write(loaded, file)
            click.echo(
                f"{file} written; its predictions differ from the model's by {difference:.1g} at most.", err=True
            )
