"""`ctlr check`: every fault of a file at once, for people or for programs, and what the data behind it hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import rich_click as click

from ctlr.cli import candidates
from ctlr.cli.options import output_option, workspace_option
from ctlr.errors import ConfigError, CtlrError, DataError, Fault

if TYPE_CHECKING:
    from ctlr.config import BenchmarkConfig, Draft
    from ctlr.examination import Examined, Looked
    from ctlr.plan import Plan
    from ctlr.room import Free, Room

__all__ = ["Checked", "check"]

_IN_MANIFEST = re.compile(r"(.+?\.ya?ml(?::\d+)?): ")
"""What a fault of a manifest begins with: its file, and the line where one is to blame."""
FORMAT = 1
"""Version of what `-o json` says; another one where a key goes or changes its meaning."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path), shell_complete=candidates.yaml_files)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", shell_complete=candidates.benchmark_settings,
              help="Override one value of the file, e.g. `--set seeds=[0,1]`. Repeatable.")  # fmt: skip
@click.option("--no-data", is_flag=True, help="Check the file alone: neither tables nor images are looked at.")
@workspace_option("Folder that a run would use: room is needed on its disk, for what it does not hold yet.")
@click.option("--workers", type=click.IntRange(1), help="Processes at once that a run would have, for its memory.")
@output_option()
def check(
    file: Path, overrides: tuple[str, ...], no_data: bool, workspace: Path, workers: int | None, output: str
) -> int:
    """Check a benchmark file with its data, or an Experiment manifest: every fault at once, with its line.

    Of the data, tables are read and headers of images; every split is drawn. Nothing is stored. It also says what was
    found, and the disk and the memory that a run will need. With `-o json` faults are JSON too.
    """
    from ctlr.cli.kinds import is_experiment

    checked = Checked(file=str(file), kind="experiment" if is_experiment(file) else "benchmark")
    try:
        if checked.kind == "experiment":
            _check_manifest(checked, file, overrides)
        else:
            _check_benchmark(checked, file, overrides, None if no_data else (workspace, workers))
    except CtlrError as error:
        if output == "table":
            raise
        checked.refuse(error)
    if output == "table":
        checked.tell()
    else:
        from ctlr.cli.show import show

        show(checked.for_programs(), output)
    return checked.exit_code


@dataclass(kw_only=True)
class Checked:
    """What a check came to; its fields, in this order, are the keys of `-o json`."""

    format: int = FORMAT
    """Version of these keys."""
    file: str
    """As the user named it."""
    kind: Literal["benchmark", "experiment"]
    """What the file is: an `experiment` is a Katib manifest."""
    ok: bool = True
    """Whether there is no fault."""
    faults: list[Fault] = field(default_factory=list)
    """In the order of the file."""
    warnings: list[str] = field(default_factory=list)
    """What may not be meant, or may not suffice."""
    notes: list[str] = field(default_factory=list)
    """What is worth knowing."""
    datasets: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name, those that were looked at."""
    needs: dict[str, int] | None = None
    """What a run takes of this machine; null where the data were not looked at, or the file has faults."""
    plugins: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By file."""
    config: dict[str, Any] | None = None
    """The benchmark with every option in place, without places and addresses; null where the file has faults."""
    experiment: dict[str, Any] | None = None
    """A manifest as it was understood."""

    def __post_init__(self) -> None:
        self.exit_code = 0
        self._told = ""

    def refuse(self, error: CtlrError) -> None:
        """Note what ended the check."""
        lines = str(error).splitlines()
        kind = "tuning" if self.kind == "experiment" else _kind(error)
        self.faults += error.faults or [Fault(message=line, kind=kind, file=self.file) for line in lines]
        self.ok, self.exit_code = False, error.exit_code

    def note_faults(self, draft: Draft, code: int) -> None:
        """Note what is wrong with a benchmark and its data."""
        self.faults += draft.document.listed()
        self.ok, self.exit_code, self._told = False, code, draft.document.told()

    def for_programs(self) -> dict[str, Any]:
        """All of it as plain data."""
        from dataclasses import asdict

        found = asdict(self)
        for fault in found["faults"]:
            fault["file"] = fault["file"] or self.file
        return found

    def tell(self) -> None:
        """Print it for people.

        Raises:
            ConfigError: There are faults, some of them in the file.
            DataError: There are, and nothing but the data can be blamed.
        """
        for line in (*self.notes, *self.warnings):
            click.echo(line, err=True)
        if not self.ok:
            raise (ConfigError if self.exit_code == ConfigError.exit_code else DataError)(self._told)
        if self.datasets:
            from ctlr.cli.show import show_rows

            show_rows(f"{self.file}: what the data hold", [_row(name, each) for name, each in self.datasets.items()])
            for name, each in self.datasets.items():
                for reason, count in each["left_out"].items():
                    click.echo(f"{name}: {count} not read: {reason}")
        if self.needs is not None:
            click.echo(_needs_in_words(self.needs))
        for name, plugin in self.plugins.items():
            used = ", ".join(plugin["parts"]) or "nothing of it is used"
            click.echo(f"plug-in {name} (sha256 {plugin['sha256']}): {used}")
        click.echo(f"{self.file}: ok")


def _kind(error: CtlrError) -> str:
    from ctlr.errors import LeakageError, MissingExtraError

    kinds = {LeakageError: "leak", DataError: "data", MissingExtraError: "package"}
    return next((name for kind, name in kinds.items() if isinstance(error, kind)), "config")


def _check_manifest(checked: Checked, file: Path, overrides: tuple[str, ...]) -> None:
    from ctlr.cli.manifests import check_manifest

    if overrides:
        raise ConfigError("`--set` changes benchmark files; a manifest is changed in its file. Remove it.")
    checked.experiment, notes = check_manifest(file)
    checked.notes += notes


def _check_benchmark(
    checked: Checked, file: Path, overrides: tuple[str, ...], machine: tuple[Path, int | None] | None
) -> None:
    """Check a benchmark.

    Args:
        checked: Takes what is found.
        file, overrides: Of the benchmark.
        machine: Workspace and workers of a run; None leaves the data alone.
    """
    from ctlr.config import load_draft, plugins_of, public_dump
    from ctlr.plan import Plan, make_plan

    draft = load_draft(file, overrides)
    config, whole = draft.config, not draft.document.faults
    codes = [] if whole else [ConfigError.exit_code]
    plan = make_plan(config) if config is not None else Plan(datasets=(), pretrainings=(), studies=())
    if config is not None:
        codes += _tuning_faults(draft, config, plan)
    if machine is not None:
        codes += _look(checked, draft, plan, *machine, whole=whole)
    if codes:
        checked.note_faults(draft, max(codes))
    if config is None or not whole:
        return
    checked.config = public_dump(config)
    checked.plugins = {
        plugin.name: {"sha256": plugin.sha256, "parts": list(parts)} for plugin, parts in plugins_of(config).items()
    }


def _tuning_faults(draft: Draft, config: BenchmarkConfig, plan: Plan) -> list[int]:
    """Note the faults of spaces and manifests; their exit codes."""
    if config.tuning is None:
        return []
    from ctlr.searches import manifest_faults  # brings the samplers, which are slow to load

    faults = manifest_faults(config, plan)
    for where, fault in faults:
        place = _IN_MANIFEST.match(fault)
        draft.document.fault(where, fault, kind="tuning", place=place[1] if place else "")
    return [ConfigError.exit_code] * len(faults)


def _look(
    checked: Checked, draft: Draft, plan: Plan, workspace: Path, workers: int | None, *, whole: bool
) -> list[int]:
    """Look at the data, and at the room that there is; exit codes of what is wrong."""
    from ctlr.engine import default_workers
    from ctlr.examination import examine, missing_packages

    found = examine(
        plan, datasets=() if whole else draft.datasets, ends=draft.ends, away=draft.away,
        workers=default_workers("cpu", 1),
    )  # fmt: skip
    faults = [*(missing_packages(draft.config) if draft.config is not None else ()), *found.faults]
    for where, error in faults:
        draft.document.fault(where, str(error), kind=_kind(error), place=error.place)
    codes = [error.exit_code for _, error in faults]
    checked.notes += _notes(found)
    checked.warnings += found.warnings
    checked.datasets = {name: _as_plain(looked) for name, looked in found.datasets.items()}
    if whole and draft.config is not None:
        threads = draft.config.compute.threads
        codes += _look_for_room(checked, draft, plan, found, workspace, workers or default_workers("cpu", threads))
    return codes


def _notes(found: Examined) -> Iterator[str]:
    for name in found.elsewhere:
        yield f"datasets.{name} lies on the cluster's volume and was not looked at."
    for name, excluded in found.excluded.items():
        for exclusion in excluded:
            yield f"datasets.{name}: left out: {exclusion}"
    yield from found.notes


def _as_plain(looked: Looked) -> dict[str, Any]:
    return {
        "kind": looked.kind,
        "subjects": looked.subjects,
        "images": looked.images,
        "shape": list(looked.shape),
        "left_out": looked.left_out,
        "targets": {target.task: target.model_dump(mode="json") | {"words": target.words} for target in looked.targets},
        "disk_bytes": 0,
    }


def _look_for_room(
    checked: Checked, draft: Draft, plan: Plan, found: Examined, workspace: Path, workers: int
) -> list[int]:
    """Compare what a run takes with what this machine has."""
    from ctlr.examination import stored
    from ctlr.room import free_here, room_of

    room = room_of(plan, found.sizes, stored(plan, found, workspace))
    if room.uncounted:
        told = ", ".join(room.uncounted)
        checked.notes.append(f"encoders: how large {told} is is not known, and left out of what a run takes.")
    free = free_here(workspace)
    for name, size in room.images.items():
        checked.datasets[name]["disk_bytes"] = size
    checked.needs = {
        "workers": workers, "images_bytes": sum(room.images.values()), "models_bytes": room.models,
        "disk_bytes": room.disk, "disk_free_bytes": free.disk, "memory_bytes": room.memory(workers),
        "memory_free_bytes": free.memory, "memory_limit_bytes": free.memory_limit,
    }  # fmt: skip
    codes = []
    for where, kind, message in _lacks(room, free, workspace, workers):
        if where:
            draft.document.fault(where, message, kind=kind)
            codes.append(ConfigError.exit_code)
        else:
            checked.warnings.append(message)
    return codes


def _lacks(room: Room, free: Free, workspace: Path, workers: int) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """What there is too little of: key, kind, message; without a key it is a warning."""
    from ctlr.room import in_words

    remedy = "Free some, or name a workspace on another disk with --workspace."
    takes, images = in_words(room.disk), in_words(sum(room.images.values()))
    if sum(room.images.values()) > free.disk:
        largest = max(room.images, key=lambda name: room.images[name])
        rule = f"a run stores {images} of images, and {in_words(free.disk)} are free where {workspace} lies"
        yield ("datasets", largest), "disk", f"{rule}. {remedy}"
    elif room.disk > free.disk:
        stores = f"A run stores up to {takes} ({images} of images, the rest weights), and {in_words(free.disk)} are"
        yield (), "disk", f"{stores} free where {workspace} lies. {remedy}"
    smaller = "Lower `batch_size` or `preprocess.shape`, or take a smaller encoder."
    if room.least > free.memory_limit:
        rule = f"one worker holds {in_words(room.least)} at least, and this machine gives it "
        yield ("encoders", room.encoder), "memory", f"{rule}{in_words(free.memory_limit)}. {smaller}"
    elif (needed := room.memory(workers)) > free.memory:
        fitting = [count for count in range(1, workers) if room.memory(count) <= free.memory]
        remedy = f"Run with --workers {fitting[-1]}." if fitting else smaller
        takes = f"{workers} workers take about {in_words(needed)} of memory, and {in_words(free.memory)} are free."
        yield (), "memory", f"{takes} {remedy}"


def _row(name: str, dataset: dict[str, Any]) -> dict[str, Any]:
    """One dataset, for people."""
    known = [str(dataset[key]) if dataset[key] is not None else "?" for key in ("subjects", "images")]
    targets = [f"{task}: {target['words']}" for task, target in dataset["targets"].items()]
    return {
        "dataset": name, "subjects": known[0], "images": known[1],
        "stored as": " x ".join(map(str, dataset["shape"])), "holds": "\n".join(targets),
        "not read": str(sum(dataset["left_out"].values()) or ""),
    }  # fmt: skip


def _needs_in_words(needs: dict[str, int]) -> str:
    from ctlr.room import in_words

    shown = {key: in_words(value) for key, value in needs.items() if key.endswith("_bytes")}
    return (
        f"A run stores {shown['images_bytes']} of images and up to {shown['models_bytes']} of weights "
        f"({shown['disk_free_bytes']} are free), and takes about {shown['memory_bytes']} of memory with "
        f"{needs['workers']} workers ({shown['memory_free_bytes']} are free)."
    )
