"""Rules across the sections of a benchmark: each a function, each naming the key, the value and the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence

from ctlr.config._document import KeyPath
from ctlr.config._finetuning import freezing_keeps_something, layers_fit_the_encoder
from ctlr.config._parts import SECTIONS, Parts
from ctlr.config._transfers import (
    baselines_have_a_shared_task,
    baselines_have_their_inputs,
    methods_have_their_source,
    methods_learn_their_task,
    several_targets_are_learned_alone,
    shape_of,
    sources_fit_the_encoder,
    sources_keep_the_target_secret,
    targets_are_new_to_the_weights,
    transfers_differ,
    transfers_name_their_methods,
    transfers_name_what_exists,
)
from ctlr.config._tuning import TuningSpec
from ctlr.errors import nearest
from ctlr.specs import (
    BASELINES,
    ENCODERS,
    METHODS,
    MORE_BASELINES,
    DatasetSpec,
    EncoderSpec,
    MethodSpec,
    PreprocessSpec,
    ViewsSpec,
    images_of,
)

__all__ = ["broken_rules"]

Fault = tuple[KeyPath, str]

_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,39}")


def broken_rules(parts: Parts) -> Iterator[Fault]:
    """Every rule that the benchmark breaks."""
    for rule in _RULES:
        yield from rule(parts)


def _sections_hold_entries(parts: Parts) -> Iterator[Fault]:
    for section in SECTIONS:
        if not getattr(parts, section):
            yield (section,), "must have at least one entry; the grid is empty without."
    if not parts.transfers:
        yield ("transfers",), "must have at least one entry: - {target: {data: …, task: …}}."


def _labels_are_plain(parts: Parts) -> Iterator[Fault]:
    for section in SECTIONS:
        for label in getattr(parts, section):
            if not _LABEL.fullmatch(label):
                yield (
                    (section, label),
                    "a name has at most 40 letters, digits, '-', '_' and '+', a letter first. Rename it.",
                )


def _known_names_mean_themselves(parts: Parts) -> Iterator[Fault]:
    for label, encoder in parts.encoders.items():
        if encoder is not None and label in ENCODERS and encoder.name != label:
            yield ("encoders", label), f"the key is an encoder's name; `name: {encoder.name}` misleads. Rename the key."
    for label, method in parts.methods.items():
        if method is not None and label in METHODS and method.method != label:
            yield ("methods", label), "the key is a method's name; another `method` misleads. Rename the key."


def _entries_differ(parts: Parts) -> Iterator[Fault]:
    """Encoders everywhere, methods where they run side by side."""
    encoders = [(label, encoder) for label, encoder in parts.encoders.items() if encoder is not None]
    for label, text in _repeats(encoders):
        yield ("encoders", label), text
    told: dict[str, str] = {}
    for transfer in parts.transfers.values():
        told |= dict(_repeats(list(parts.running(transfer)), parts.tuning))
    for label, text in told.items():
        yield ("methods", label), text


def _repeats(
    entries: Sequence[tuple[str, EncoderSpec] | tuple[str, MethodSpec]], tuning: TuningSpec | None = None
) -> Iterator[tuple[str, str]]:
    """Entries of the same options, unless these are searched in different ways."""
    first: dict[Hashable, str] = {}
    for label, entry in entries:
        space = tuning.experiments.get(label) if tuning is not None else None
        searched = (space, tuning.algorithm_of(label)) if tuning is not None and space is not None else None
        same = first.setdefault((entry.model_copy(update={"label": ""}), searched), label)
        if same != label:
            how = " and are searched in the same way" if searched is not None else ""
            yield label, f"these are the options of {same!r} once more{how}. Remove one, or change an option."


def _methods_run_on_known_encoders(parts: Parts) -> Iterator[Fault]:
    for label, method in parts.methods.items():
        wanted = method.only_encoder if method is not None else None
        if wanted is not None and wanted not in parts.encoders:
            yield ("methods", label, "encoder"), f"unknown encoder {wanted!r}. {nearest(wanted, parts.encoders)}"


def _gains_have_a_baseline(parts: Parts) -> Iterator[Fault]:
    known = [method for method in parts.methods.values() if method is not None]
    if parts.tuning is not None and parts.tuning.race is not None:
        known = []  # a race asks which is best, not what is gained
    if len(known) == len(parts.methods) > 0 and not any(method.method == "scratch" for method in known):
        yield ("methods",), "`scratch` is missing, and every gain is measured against it. Add `scratch: {}`."
    floors = [label for label, method in parts.methods.items() if method is not None and method.role == "floor"]
    for label in floors[1:]:
        yield ("methods", label), f"the mean predictor is there already ({floors[0]}), and once is enough. Remove it."


def _baselines_are_known(parts: Parts) -> Iterator[Fault]:
    for name in parts.baselines or ():
        if name not in (known := (*BASELINES, *MORE_BASELINES)):
            yield ("baselines",), f"unknown baseline {name!r}. {nearest(name, known)}"


def _encoders_fit_the_data(parts: Parts) -> Iterator[Fault]:
    used = {end.data for transfer in parts.transfers.values() for end in (transfer.source, transfer.target) if end}
    for name in sorted(used):
        data = parts.datasets.get(name)
        for label, encoder in parts.encoders.items():
            if data is None or encoder is None:
                continue
            sides, part = data.stored_shape[1:], ENCODERS[encoder.name]
            ndim = len(sides)
            if ndim in part.dimensions:
                if min(sides, default=encoder.least) < encoder.least:
                    fitting = ", ".join(sorted(_taking(sides)))
                    longer = "Enlarge its `preprocess.shape`" if ndim > 1 else "Take longer signals"
                    yield (
                        ("encoders", label),
                        f"{encoder.name} takes images whose sides are {encoder.least} or more, and dataset {name!r} "
                        f"has {shape_of(data)}. {longer}, or take one of {fitting}.",
                    )
                if encoder.width != 1 and ndim not in part.scaled_in:
                    whose = f", {part.published}'s" if part.published else ""
                    yield (
                        ("encoders", label, "width"),
                        f"{encoder.name} has one width on {images_of(ndim)}{whose}; got {encoder.width:g}. "
                        "Leave it out.",
                    )
                continue
            fitting = ", ".join(sorted(_taking(sides)))
            yield (
                ("encoders", label),
                f"{encoder.name} does not take {images_of(ndim)}, and dataset {name!r} has {shape_of(data)}. "
                f"Known for {images_of(ndim)}: {fitting}.",
            )


def _taking(shape: Sequence[int]) -> Iterator[str]:
    """Encoders that take images of a shape."""
    for name, part in ENCODERS.items():
        if len(shape) in part.dimensions and min(shape, default=part.least) >= part.least:
            yield name


def _methods_fit_the_data(parts: Parts) -> Iterator[Fault]:
    """What a method reads of an image has to be there."""
    told: dict[KeyPath, str] = {}
    for transfer in parts.transfers.values():
        data = parts.datasets.get(transfer.target.data)
        for label, method in parts.running(transfer) if data is not None else ():
            if data is not None and (fault := method.misfit(data.stored_shape)) is not None:
                told.setdefault(("methods", label, *fault[0].split(".")), fault[1])
    yield from told.items()


def _shapes_fit_the_kind(parts: Parts) -> Iterator[Fault]:
    for name, data in parts.datasets.items():
        if data is None or not isinstance(data.preprocess, PreprocessSpec):
            continue
        where: KeyPath = ("datasets", name, "preprocess")
        needed = data.ndim
        if len(data.preprocess.shape) != needed:
            kind = "pictures have two sides" if needed == 2 else "volumes have three sides"
            example = "[64, 64]" if needed == 2 else "[32, 32, 32]"
            yield (*where, "shape"), f"{kind}; got {list(data.preprocess.shape)}. Write e.g. {example}."
        if needed == 3 and data.preprocess.channels != 1:
            yield (*where, "channels"), f"volumes have one channel; got {data.preprocess.channels}. Remove it."


def _pictures_have_classes_only(parts: Parts) -> Iterator[Fault]:
    for index, transfer in parts.transfers.items():
        for side, end in (("source", transfer.source), ("target", transfer.target)):
            task = parts.tasks.get(end.task) if end else None
            data = parts.datasets.get(end.data) if end else None
            if end is None or task is None or data is None or not data.classes_only:
                continue
            if task.target != "class" or task.kind != "classification":
                yield (
                    ("transfers", index, side, "task"),
                    f"a picture's only label is its class, so the task on {end.data!r} must be "
                    f"`{{target: class, kind: classification}}`; {end.task!r} is a {task.kind} of {task.target!r}.",
                )


def _copying_copies_something(parts: Parts) -> Iterator[Fault]:
    for label, method in parts.methods.items():
        if method is None or method.finetune.n_copied is None:
            continue
        n_copied, n_frozen = method.finetune.n_copied, method.finetune.n_frozen
        where: KeyPath = ("methods", label, "finetune")
        if not method.pretrains:
            yield (*where, "n_copied"), f"{label} has no pretrained weights to copy. Remove it."
            continue
        if n_frozen > n_copied:
            yield (
                (*where, "n_frozen"),
                f"{n_frozen} blocks would be frozen and {n_copied} copied: the others would keep random weights. "
                "Lower it, or raise `n_copied`.",
            )
        for encoder in parts.encoders_by_depth():
            name, n_blocks = encoder.name, encoder.blocks
            if method.finetune.strategy == "linear_probe" and n_copied < n_blocks:
                yield (
                    (*where, "n_copied"),
                    f"a linear probe freezes all {n_blocks} blocks of {name}; {n_copied} are copied, the others "
                    "would keep random weights. Leave it out.",
                )
            if n_copied > n_blocks:
                yield (
                    (*where, "n_copied"),
                    f"{name} has {n_blocks} blocks; got {n_copied}. Lower it, or leave it out to copy all.",
                )


def _controls_are_not_searched(parts: Parts) -> Iterator[Fault]:
    controls = ((label, method.control) for label, method in parts.methods.items() if method is not None)
    label, why = next(((label, why) for label, why in controls if why), ("", ""))
    if parts.tuning is not None and why:
        remedy = "Tune without it, then write what was found into a benchmark with it."
        yield ("methods", label), f"{why}. {remedy}"


def _views_are_there_to_contrast(parts: Parts) -> Iterator[Fault]:
    for label, method in parts.methods.items():
        if method is not None and method.lacks_views:
            told = f"{method.method} contrasts random views; got none. Write `views: {{}}`."
            yield ("methods", label, "pretrain", "views"), told


def _views_mean_something(parts: Parts) -> Iterator[Fault]:
    """A part that images do not have is left out of a method's own views, and refused in those of the file."""
    for label, method in parts.methods.items():
        if method is None:
            continue
        seen = _seen(parts, label, method)
        for place, views in method.views_by_place.items():
            usual = type(method).usual_views(place)
            for ndim in sorted({data.ndim for data in seen.values()}):
                for name in sorted(ViewsSpec.meaningless(ndim)):
                    if getattr(views, name) not in {getattr(each, name) for each in (views.none(), *usual)}:
                        known = ", ".join(sorted(views.off().keys() - views.meaningless(ndim)))
                        told = f"{images_of(ndim)} have no such view. Remove it. Known: {known}."
                        yield ("methods", label, *place, name), told
            for name, data in seen.items() if views.stain else ():
                if (reason := _unstainable(name, data)) is not None:
                    yield ("methods", label, *place, "stain"), reason


def _seen(parts: Parts, label: str, method: MethodSpec) -> dict[str, DatasetSpec]:
    """Datasets, by name, of the transfers that a method runs on."""
    ends = (end for each in parts.transfers.values() if each.runs(label, method) for end in (each.source, each.target))
    names = sorted({end.data for end in ends if end is not None})
    return {name: data for name in names if (data := parts.datasets.get(name)) is not None}


def _unstainable(name: str, data: DatasetSpec) -> str | None:
    """Why the colours of pictures cannot be taken apart into stains."""
    options = data.preprocess
    if data.ndim != 2 or not isinstance(options, PreprocessSpec):
        return None
    if options.channels != 3:
        there = f"{options.channels} channel. Set `preprocess.channels: 3`"
        return f"stains need coloured pictures, and dataset {name!r} has {there}."
    if options.normalise == "zscore":
        remedy = "Set `preprocess.normalise` to `percentile` or `none`"
        return f"stains need values of 0 to 1, and dataset {name!r} has `normalise: zscore`. {remedy}."
    return None


def _test_set_is_a_share_or_a_number(parts: Parts) -> Iterator[Fault]:
    if parts.split is not None and parts.split.test >= 1 and not parts.split.test.is_integer():
        yield ("split", "test"), f"must be a share below 1 or a whole number of subjects; got {parts.split.test}."


def _sizes_fit_the_data(parts: Parts) -> Iterator[Fault]:
    """Only of datasets whose number of subjects is known before anything is read."""
    if parts.split is None or not parts.sample_sizes:
        return
    largest, test = max(parts.sample_sizes), parts.split.test
    held = parts.split.n_validation(largest)
    for name in sorted({transfer.target.data for transfer in parts.transfers.values()}):
        data = parts.datasets.get(name)
        if data is None or data.known_subjects is None:
            continue
        remedy = f", or raise `datasets.{name}.{data.raised_by}`" if data.raised_by else ""
        n_test = round(test * data.known_subjects) if test < 1 else round(test)
        needed = largest + held + n_test
        if needed > data.known_subjects:
            yield (
                ("sample_sizes", parts.sample_sizes.index(largest)),
                f"{largest} to train, {held} to validate and {n_test} to test need {needed} subjects; "
                f"{name!r} has {data.known_subjects}. Lower it{remedy}.",
            )


def _methods_are_tuned_alike(parts: Parts) -> Iterator[Fault]:
    if parts.tuning is None:
        return
    where: KeyPath = ("tuning", "experiments")
    tuned = {label: method for label, method in parts.methods.items() if method is None or not method.untuned}
    for label in parts.tuning.experiments:
        if label not in tuned:
            yield (*where, label), f"unknown method {label!r}. {nearest(label, tuned)}"
    for index, label in enumerate(parts.tuning.by_hand):
        place: KeyPath = ("tuning", "by_hand", index)
        if label not in tuned:
            yield place, f"unknown method {label!r}. {nearest(label, tuned)}"
        elif label in parts.tuning.experiments:
            yield place, f"{label!r} has a manifest under `experiments`, and would be searched. Remove one of them."
    for label in parts.tuning.algorithms:
        if label not in parts.tuning.experiments:
            known = nearest(label, parts.tuning.experiments)
            yield ("tuning", "algorithms", label), f"nothing under `experiments` is called {label!r}. {known}"
    for label, method in tuned.items():
        if label in parts.tuning.by_hand:
            continue
        manifests = parts.tuning.experiments.get(label)
        if manifests is None and method is not None and method.space(0) and parts.tuning.order == "target_only":
            continue
        if manifests is None:
            yield (
                where,
                f"{label!r} is missing: a gain over an untuned method says nothing. Name its manifest, or list it "
                "under `by_hand` where an expert has chosen its options.",
            )
            continue
        staged = parts.tuning.order == "source_then_target" and method is not None and method.pretraining is not None
        if method is not None and len(manifests) != 1 + staged:
            needs = "two manifests, its pretraining's first" if staged else "one manifest"
            yield (*where, label), f"with `order: {parts.tuning.order}` it needs {needs}; got {len(manifests)}."


_RULES: tuple[Callable[[Parts], Iterator[Fault]], ...] = (
    _sections_hold_entries,
    _labels_are_plain,
    _known_names_mean_themselves,
    _entries_differ,
    _gains_have_a_baseline,
    _methods_run_on_known_encoders,
    _baselines_are_known,
    baselines_have_a_shared_task,
    baselines_have_their_inputs,
    transfers_name_what_exists,
    transfers_name_their_methods,
    transfers_differ,
    sources_keep_the_target_secret,
    methods_have_their_source,
    methods_learn_their_task,
    several_targets_are_learned_alone,
    targets_are_new_to_the_weights,
    sources_fit_the_encoder,
    _encoders_fit_the_data,
    _methods_fit_the_data,
    _shapes_fit_the_kind,
    _pictures_have_classes_only,
    freezing_keeps_something,
    layers_fit_the_encoder,
    _copying_copies_something,
    _controls_are_not_searched,
    _views_are_there_to_contrast,
    _views_mean_something,
    _test_set_is_a_share_or_a_number,
    _sizes_fit_the_data,
    _methods_are_tuned_alike,
)
