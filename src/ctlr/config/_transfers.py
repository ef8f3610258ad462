"""Rules on transfers: what they name, what runs on them, and what a source may teach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from ctlr.config._document import KeyPath
from ctlr.config._layers import LAYER_TRANSFER
from ctlr.config._parts import End, Parts
from ctlr.errors import nearest
from ctlr.specs import METHODS, DatasetSpec, DataTask, layer_role, shares_task

__all__ = [
    "baselines_have_a_shared_task",
    "baselines_have_their_inputs",
    "methods_have_their_source",
    "methods_learn_their_task",
    "several_targets_are_learned_alone",
    "shape_of",
    "sources_fit_the_encoder",
    "sources_keep_the_target_secret",
    "targets_are_new_to_the_weights",
    "transfers_differ",
    "transfers_name_their_methods",
    "transfers_name_what_exists",
]

Fault = tuple[KeyPath, str]


def transfers_name_what_exists(parts: Parts) -> Iterator[Fault]:
    """Their ends are datasets and tasks of the file."""
    for index, transfer in parts.transfers.items():
        for side in ("source", "target"):
            end = getattr(transfer, side)
            if end is None:
                continue
            where: KeyPath = ("transfers", index, side)
            if end.data not in parts.datasets:
                yield (*where, "data"), f"unknown dataset {end.data!r}. {nearest(end.data, parts.datasets)}"
            if end.task not in parts.tasks:
                yield (*where, "task"), f"unknown task {end.task!r}. {nearest(end.task, parts.tasks)}"


def transfers_name_their_methods(parts: Parts) -> Iterator[Fault]:
    """What they run is there, and every method runs somewhere."""
    for index, transfer in parts.transfers.items():
        for label in transfer.methods or ():
            if label not in parts.methods:
                yield ("transfers", index, "methods"), f"unknown method {label!r}. {nearest(label, parts.methods)}"
    for label, method in parts.methods.items():
        if method is None or not parts.transfers:
            continue
        if not any(transfer.runs(label, method) for transfer in parts.transfers.values()):
            yield ("methods", label), "no transfer runs it: each lists other `methods`. Add it to one, or remove it."


def transfers_differ(parts: Parts) -> Iterator[Fault]:
    """Each pair of source and target stands once."""
    seen = Counter[tuple[End | None, End]]()
    for index, transfer in parts.transfers.items():
        ends = transfer.source, transfer.target
        seen[ends] += 1
        if seen[ends] > 1:
            yield ("transfers", index), "the same transfer is listed above. Remove one."


def sources_keep_the_target_secret(parts: Parts) -> Iterator[Fault]:
    """Inside one dataset the source must not teach what is asked of the target."""
    for index, transfer in parts.transfers.items():
        source, target = transfer.source, transfer.target
        if source is None or source.data != target.data:
            continue
        wanted = parts.tasks.get(target.task)
        for label, method in parts.running(transfer):
            if wanted is not None and wanted.target in method.source_columns:
                told = f"{wanted.target!r} is what the target asks of the same subjects, beyond the labelled ones"
                yield ("methods", label, "columns"), f"{told}. Remove it from `columns`."
        first, second = parts.tasks.get(source.task), parts.tasks.get(target.task)
        if first is None or second is None:
            continue
        if first.target in {other.target for other in second.also}:
            told = f"the source teaches {first.target!r} of the target's own subjects, beyond the labelled ones"
            yield ("transfers", index, "source"), f"{told}, and `also` asks for it. Remove one of both."
        if first.target != second.target:
            continue
        if first.classes and second.classes and not set(first.classes) & set(second.classes):
            continue
        yield (
            ("transfers", index, "source"),
            f"the source teaches {first.target!r} of the target's own subjects, beyond the labelled ones. "
            "Name another task or dataset, or give both tasks `classes` that do not overlap.",
        )


def methods_have_their_source(parts: Parts) -> Iterator[Fault]:
    """A method that learns from a source runs where there is one."""
    for label, method in parts.methods.items():
        needs = method is not None and method.needs_source
        lacking = [
            index
            for index, transfer in parts.transfers.items()
            if transfer.source is None and method is not None and transfer.runs(label, method)
        ]
        if needs and lacking:
            # The networks of a layer transfer are one entry of the file: it is told once.
            named = LAYER_TRANSFER if method is not None and layer_role(method) is not None else label
            yield (
                ("transfers", lacking[0]),
                f"`methods.{named}` learns from a source, and this transfer has none. "
                f"Add `source: {{data: …, task: …}}` or remove `{named}`.",
            )


def methods_learn_their_task(parts: Parts) -> Iterator[Fault]:
    """A method of classes does not learn numbers."""
    for transfer in parts.transfers.values():
        task = parts.tasks.get(transfer.target.task)
        for label, method in parts.running(transfer) if task else ():
            if task is not None and (others := task.kinds - {*method.task_kinds}):
                kinds, whole = " or ".join(method.task_kinds), "has" if task.also else "is"
                told = (
                    f"{method.method} learns a {kinds}, and the task {transfer.target.task!r} {whole} a {min(others)}"
                )
                yield ("methods", label), f"{told}. Name other `methods` in that transfer, or remove it."


def several_targets_are_learned_alone(parts: Parts) -> Iterator[Fault]:
    """What sees unlabelled images or the source while it finetunes learns one target."""
    for transfer in parts.transfers.values():
        task = parts.tasks.get(transfer.target.task)
        for label, method in parts.running(transfer) if task and task.also else ():
            if method.reads_pool_while_finetuning:
                told = f"{method.method} learns one target, and the task {transfer.target.task!r} has `also`"
                yield ("methods", label), f"{told}. Name other `methods` in that transfer, or remove it."


def targets_are_new_to_the_weights(parts: Parts) -> Iterator[Fault]:
    """Weights that have seen a cohort are not tested on it."""
    for transfer in parts.transfers.values():
        data = parts.datasets.get(transfer.target.data)
        names = {transfer.target.data, Path(getattr(data, "root", "")).name} - {""}
        for label, method in parts.running(transfer):
            for cohort in method.seen_cohorts:
                if cohort.casefold() in {name.casefold() for name in names}:
                    told = f"the weights were trained on {cohort!r}, and {transfer.target.data!r} is it"
                    remedy = "Take other weights, or name other `methods` in that transfer"
                    yield ("methods", label), f"{told}: its test subjects would not be new. {remedy}."


def baselines_have_a_shared_task(parts: Parts) -> Iterator[Fault]:
    """The source's model as it is can only be asked what it has learned."""
    asked: list[tuple[KeyPath, bool]] = [
        (("baselines",), METHODS[name].needs_shared_task) for name in parts.baselines or () if name in METHODS
    ]
    asked += [(("methods", label), method.needs_shared_task) for label, method in parts.methods.items() if method]
    for where, needed in asked:
        if needed and not any(_shared(parts, index) for index in parts.transfers):
            yield (
                where,
                "no transfer's source is another dataset with the same question (`target`, `kind`, `classes`) and "
                "images of one shape, so that its model could stand unchanged. Add one, or leave such a baseline out.",
            )


def baselines_have_their_inputs(parts: Parts) -> Iterator[Fault]:
    """What a baseline reads in the place of images has to be there."""
    asked: list[tuple[KeyPath, bool]] = [
        (("baselines",), METHODS[name].needs_inputs) for name in parts.baselines or () if name in METHODS
    ]
    asked += [(("methods", label), method.needs_inputs) for label, method in parts.methods.items() if method]
    tasks = [parts.tasks.get(transfer.target.task) for transfer in parts.transfers.values()]
    for where, needed in asked:
        if needed and not any(task is None or task.inputs for task in tasks):
            yield where, "no target's task has `inputs` to predict from. Give it some, or leave `covariates` out."


def _shared(parts: Parts, index: int) -> bool:
    ends: list[DataTask] = []
    for end in (parts.transfers[index].source, parts.transfers[index].target):
        data, task = (parts.datasets.get(end.data), parts.tasks.get(end.task)) if end else (None, None)
        if data is None or task is None:
            return False
        ends.append(DataTask(data=data, task=task))
    return shares_task(*ends)


def sources_fit_the_encoder(parts: Parts) -> Iterator[Fault]:
    """Source and target have one shape where one encoder reads both."""
    for index, source, target in parts.pairs():
        sharing = [label for label, method in parts.running(parts.transfers[index]) if method.shares_encoder]
        if sharing and source.stored_shape != target.stored_shape:
            yield (
                ("transfers", index, "source"),
                f"one encoder reads source and target ({', '.join(sharing)}), so both need one shape; "
                f"{source.name} has {shape_of(source)}, {target.name} has {shape_of(target)}. "
                + ("Set the same `preprocess.shape` and `channels`." if target.ndim > 1 else "Prepare them alike."),
            )


def shape_of(data: DatasetSpec) -> str:
    """Channels and sides of a dataset's images, in words."""
    sides = " x ".join(map(str, data.stored_shape))
    return f"{sides} feature{'s' * (sides != '1')}" if data.ndim == 0 else sides
