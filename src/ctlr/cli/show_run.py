"""`ctlr show`: a run, or one of its studies."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from ctlr.cli import candidates
from ctlr.cli.options import output_option, workspace_option
from ctlr.errors import ConfigError, nearest

if TYPE_CHECKING:
    from ctlr.runs import FoundStudy, Listed

__all__ = ["show_run"]

_FACTS = ("method", "encoder", "source", "target", "n_train", "seed")
_SHOWN = 20
"""Failed steps, and the last epochs of a study's history."""


@click.command("show")
@click.argument("run", shell_complete=candidates.runs_and_studies)
@workspace_option("Folder that holds the run.")
@output_option()
def show_run(run: str, workspace: Path, output: str) -> None:
    """Show a run, or a study: how it is, what it was, its scores, where its files are, what failed and why.

    RUN is a benchmark's name, the folder of its report, a study's id, or how one alone begins.
    """
    from ctlr.cli.show import show
    from ctlr.runs import find_study, listed

    root, name = _place(run, workspace)
    runs = listed(root)
    found = next((each for each in runs if each.run.name == name), None)
    if found is not None:
        show(_run_record(found), output) if output != "table" else _tell_run(found)
        return
    study = find_study(root, name)
    if study is None:
        known = nearest(name, (each.run.name for each in runs))
        raise ConfigError(f"{root} has no run {name!r}, and no study whose id begins so. {known} See `ctlr ls {root}`.")
    show(_study_record(study), output) if output != "table" else _tell_study(study, root)


def _place(run: str, workspace: Path) -> tuple[Path, str]:
    """Workspace and name that are meant: a path of a report names both."""
    path = Path(run)
    folder = path.parent if path.name == "report.html" else path
    if ("/" in run or path.is_dir()) and (folder / "report.html").is_file():
        folder = folder.absolute()
        return folder.parent.parent, folder.name
    return workspace, run


# ---------------------------------------------------------------- a run


def _run_record(found: Listed) -> dict[str, Any]:
    run = found.run
    return found.record | {
        "workers": run.began.get("workers"),
        "host": run.began.get("host"),
        "grid": {name: values for name, values in _grid(found).items() if values},
        "validation": {
            metric: [{"name": row.name, "value": row.value, "note": row.note} for row in rows]
            for metric, rows in _ranking(found).items()
        },
        "failures": [{"step": step.name, "reason": step.text} for step in run.failed],
        "events": str(_events(found)),
    }


def _ranking(found: Listed) -> Mapping[str, Any]:
    from ctlr.runs import ranking

    return ranking(found.run)


def _events(found: Listed) -> Path:
    from ctlr.events import events_path

    return events_path(found.workspace, found.run.name)


def _grid(found: Listed) -> dict[str, list[Any]]:
    """What its studies were, as far as they were begun."""
    facts = [step.facts for step in found.run.studies]
    return {name: list(dict.fromkeys(each[name] for each in facts if each.get(name) != "")) for name in _FACTS}


def _tell_run(found: Listed) -> None:
    from ctlr.cli.show import show_rows
    from ctlr.runs import ago, duration, kept, outlook

    run, grid = found.run, _grid(found)
    began = f", began {ago(run.began['time'])}" if run.began else ""
    took = f", took {duration(run.seconds)}" if run.seconds else ""
    lines = [f"{run.name}: {found.life}{began}{took}"]
    if run.began:
        failed = f"; {len(run.failed)} failed" if run.failed else ""
        lines.append(f"Studies: {run.studies_done} of {run.began.get('studies')} done{failed}")
    if found.life == "running":
        ahead = outlook(run, time.time())
        left = "" if ahead.left is None else f", about {duration(ahead.left)} left"
        names = ", ".join(step.name for step in run.running)
        lines.append(f"Work: {100 * ahead.share:.0f} % done{left}; under way: {names or 'nothing'}")
    lines += [f"{name.replace('_', ' ')}: {', '.join(map(str, values))}" for name, values in grid.items() if values]
    lines += [f"Best of {best.target}, on the test set: {best.words}" for best in found.best]
    click.echo("\n".join(lines))
    for metric, rows in _ranking(found).items():
        told = [{"": row.name, "validation": row.value, "of": row.note} for row in rows]
        show_rows(f"{metric}, on validation", told)
    _tell_failures((step.name, step.text) for step in run.failed)
    click.echo(f"Events: {_events(found)}")
    click.echo(f"Report: {found.report}" if found.report else "No report yet.")
    if found.life in ("interrupted", "killed", "failed"):
        click.echo(f"{kept(run, found.workspace).words}\nGo on with: ctlr resume --workspace {found.workspace}")


def _tell_failures(failures: Iterable[tuple[str, str]]) -> None:
    known = list(failures)
    for name, reason in known[:_SHOWN]:
        click.echo(f"FAILED {name}: {reason}")
    if len(known) > _SHOWN:
        click.echo(f"and {len(known) - _SHOWN} more")


# ---------------------------------------------------------------- a study


def _study_record(study: FoundStudy) -> dict[str, Any]:
    files = sorted(path.name for path in study.folder.iterdir()) if study.folder else []
    return {
        "study": study.id, "run": study.run, "state": _state(study), "record": dict(study.record),
        "folder": str(study.folder) if study.folder else None,
        "files": [name for name in files if not name.startswith(".")],
    }  # fmt: skip


def _state(study: FoundStudy) -> str:
    if study.step is not None:
        return study.step.state
    return "failed" if study.record.get("status") == "failed" else "finished"


def _tell_study(study: FoundStudy, root: Path) -> None:
    from ctlr.cli.show import show_rows

    record = study.record
    click.echo(f"{study.id}: {_state(study)}, a study of {study.run}")
    click.echo(
        "\n".join(f"{name.replace('_', ' ')}: {record[name]}" for name in _FACTS if record.get(name) not in ("", None))
    )
    rows: dict[str, dict[str, Any]] = {}
    for key, value in record.items():
        split, _, metric = key.partition("_")
        if split in ("train", "validation", "test") and metric and isinstance(value, int | float | str) and value != "":
            rows.setdefault(metric, {"metric": metric, "train": "", "validation": "", "test": ""})[split] = (
                f"{float(value):.4g}"
            )
    if rows:
        show_rows("Scores", list(rows.values()))
    if reason := record.get("reason") or (study.step.text if study.step is not None else ""):
        click.echo(f"FAILED: {reason}")
    if study.folder is None:
        return
    history = study.folder / "history.csv"
    if history.is_file():
        lines = history.read_text().splitlines()
        click.echo(f"History: {len(lines) - 1} epochs in {history}")
    files = sorted(path.name for path in study.folder.iterdir() if not path.name.startswith("."))
    click.echo(f"Files: {study.folder}: {', '.join(files)}")
