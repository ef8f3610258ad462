"""`ctlr serve`: a model behind HTTP."""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from ctlr.cli.options import model_options

__all__ = ["serve"]


@click.command()
@model_options
@click.option("--host", default="127.0.0.1", show_default=True,
              help="Address to listen at. Nobody is asked for a password: a proxy in front may.")  # fmt: skip
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--name", default="model", show_default=True, help="Of the model, in /v2/models/NAME.")
@click.option("--threads", type=click.IntRange(1), help="Of the processor; by default one a core.")
@click.option("--device", default="cpu", show_default=True, help="`cpu` or `cuda`.")
@click.option("--batch", type=click.IntRange(1), default=32, show_default=True, help="Images predicted at once.")
@click.option("--wait", type=click.FloatRange(0), default=2.0, show_default=True,
              help="Milliseconds that an image waits for others.")  # fmt: skip
@click.option("--largest", type=click.IntRange(1), default=256, show_default=True, help="Megabytes of a request.")
@click.option("--window", type=click.IntRange(10), default=100, show_default=True,
              help="Images whose drift is judged together.")  # fmt: skip
@click.option("--monitor", type=click.Path(dir_okay=False, path_type=Path),
              help="File that the drift is written to after each window.")  # fmt: skip
def serve(
    model: Path, host: str, port: int, name: str, threads: int | None, device: str, batch: int, wait: float,
    largest: int, window: int, monitor: Path | None,
) -> None:  # fmt: skip
    """Serve MODEL over HTTP: the open inference protocol (v2), uploads at /v1/predict, /metrics and /v1/drift.

    SIGTERM ends it: what is under way is answered first.
    """
    from ctlr.errors import ConfigError, require

    for package in ("starlette", "uvicorn", "python_multipart", "prometheus_client"):
        require(package, extra="serve")
    import os

    import torch

    from ctlr.monitoring import FILE, read_reference
    from ctlr.serving._export import check_names
    from ctlr.serving.http import Limits, create_app
    from ctlr.serving.http import serve as run
    from ctlr.training.checkpoint import load_model

    n_threads = threads or len(os.sched_getaffinity(0))
    torch.set_num_threads(n_threads)
    reference = read_reference(model) if monitor is not None or (model / FILE).exists() else None
    if not name.isascii() or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise ConfigError(f"`--name` must be of letters, digits, `.`, `-` and `_`; got {name!r}. Name another.")
    limits = Limits(batch=batch, wait=wait / 1000, body=largest * 2**20, threads=n_threads)
    loaded = load_model(model, device)
    check_names(loaded)
    app = create_app(loaded, name, limits=limits, reference=reference, window=window, monitor=monitor)
    if reference is None:
        click.echo(f"{model.name} has no {FILE}: drift is not watched.", err=True)
    run(app, host, port, lambda address: click.echo(f"{name} at {address}", err=True))
