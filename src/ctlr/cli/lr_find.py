"""`ctlr lr-find`: the loss over the learning rate, and the rates that it suggests."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ctlr.cli.options import output_option, study_options, workspace_option
from ctlr.cli.trial import option_values, prepare
from ctlr.errors import ConfigError

if TYPE_CHECKING:
    from ctlr.specs import LeakSpec, Study
    from ctlr.training.lr_finder import RateCurve, RateSuggestions

__all__ = ["lr_find"]


@click.command("lr-find")
@study_options("`--set optimiser=momentum`")
@click.option(
    "--stage", type=click.Choice(["finetune", "pretrain"]), default="finetune", show_default=True,
    help="Whose rate is looked for.",
)  # fmt: skip
@click.option("--lr-min", type=click.FloatRange(0, min_open=True), default=1e-7, show_default=True, help="First rate.")
@click.option("--lr-max", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="Last rate.")
@click.option("--steps", type=click.IntRange(20, 10_000), default=100, show_default=True, help="Rates, a batch each.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the curve; by default one below the workspace.",
)  # fmt: skip
@click.option("--device", default="auto", show_default=True, help="`auto`, `cpu`, `cuda` or one GPU, e.g. `cuda:1`.")
@workspace_option("Folder that holds what steps made.")
@output_option()
def lr_find(**params: Any) -> None:
    """Suggest a learning rate for a benchmark's study: train a few steps at ever larger ones, and throw them away.

    The curve goes to a figure and a CSV file, the suggestions to stdout. The test set stays sealed.
    """
    from ctlr.cli.show import counting, show
    from ctlr.engine import check_device
    from ctlr.steps.rates import sweep_rates
    from ctlr.training.lr_finder import SweepSpec, suggest
    from ctlr.trials import placed
    from ctlr.workspace import Workspace

    if params["lr_max"] <= params["lr_min"]:
        raise ConfigError(f"`--lr-max` must be above `--lr-min`; got {params['lr_max']:g} and {params['lr_min']:g}.")
    if params["device"] != "auto":
        check_device(params["device"])
    (study, leaks), stage = _study(params), params["stage"]
    workspace = Workspace(params["workspace"])
    arrays = prepare([study], workspace, leaks)
    spec = SweepSpec(lr_min=params["lr_min"], lr_max=params["lr_max"], steps=params["steps"])
    with counting("steps") as progress:
        curve = sweep_rates(
            study, arrays, workspace, spec, stage=stage, device=placed(params["device"]), progress=progress
        )
    found = suggest(curve)
    out = params["out"] or workspace.root / "rates" / f"{study.id}-{stage}"
    _write(out, curve, found)
    record = {"study": study.id, "stage": stage, "lr": _rate_now(study, stage)} | asdict(found)
    record |= {"steps": len(curve.rates), "diverged": curve.diverged, "folder": str(out)}
    if params["output"] == "table":
        _print(record)
    else:
        show(record, params["output"])


def _rate_now(study: Study, stage: str) -> float:
    """The rate that the study has now."""
    return study.method.stage(stage).lr


def _study(params: dict[str, Any]) -> tuple[Study, LeakSpec]:
    """The study that is asked for, and what its benchmark counts as a leak."""
    from ctlr.config import load
    from ctlr.tuning.options import check_stage, with_options
    from ctlr.tuning.request import TrialRequest, pick_study

    named = ("study", "n_train", "encoder", "seed", "transfer", "stage")
    request = TrialRequest(benchmark=str(params["benchmark"]), **{name: params[name] for name in named})
    config = load(params["benchmark"])
    study = pick_study(request, config)
    check_stage(study, (), params["stage"])
    return with_options(study, option_values(params["settings"])), config.leaks


def _write(out: Path, curve: RateCurve, found: RateSuggestions) -> None:
    """`lr-find.csv`, a row a step, and `lr-find.svg`."""
    from ctlr.report.rate_curve import rate_curve
    from ctlr.report.theme.standalone import standalone
    from ctlr.workspace import write_aside

    columns = (curve.rates.tolist(), curve.losses.tolist(), curve.smoothed.tolist())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["lr", "loss", "smoothed_loss"])
    writer.writerows([f"{value:.9g}" for value in row] for row in zip(*columns, strict=True))
    out.mkdir(parents=True, exist_ok=True)
    write_aside(out / "lr-find.csv", text.getvalue().encode())
    write_aside(out / "lr-find.svg", standalone(rate_curve(*columns, asdict(found))).encode())


def _print(record: dict[str, Any]) -> None:
    from ctlr.cli.show import show_rows

    meaning = {
        "valley": "two thirds down the longest fall of the loss",
        "steepest": "where the loss falls fastest",
        "minimum": "a tenth of the rate with the lowest loss",
    }
    rows = [{"rule": name, "lr": f"{record[name]:.2e}", "what it is": words} for name, words in meaning.items()]
    show_rows(f"Rates suggested for {record['study']} ({record['stage']}; now {record['lr']:g})", rows)
    click.echo(f"Curve: {record['folder']}/lr-find.svg and lr-find.csv", err=True)
