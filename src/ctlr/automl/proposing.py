"""The benchmark file of a search for a model."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ctlr.automl.families import FAMILIES, Family, epoch_seconds
from ctlr.automl.guidance import Guidance, Weights
from ctlr.automl.looking import Looked, look
from ctlr.data.reader import Progress
from ctlr.errors import ConfigError, nearest
from ctlr.shallow.families import KINDS
from ctlr.specs import ENCODERS, METHODS, dns_name
from ctlr.workspace import Workspace, disk_faults_named, write_aside

__all__ = ["Prepared", "Proposal", "prepare", "propose"]

_SEARCHING = 0.75
"""Share of the time that is searched; the rest trains the finalists once more, and evaluates them."""
_FINALISTS = 3
_KEEP = 1 / 3
_LEAST_TRAINED = 4
"""Pictures that a model is trained on."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A benchmark file, and what was left out of it."""

    text: str
    """YAML, with comments."""
    families: tuple[str, ...]
    """Searches, in the order of their first turns."""
    left_out: Mapping[str, str]
    """Searches that were not asked for by name and would not end in time, with the reason."""
    seconds: float
    """Of searching."""


def propose(looked: Looked, guidance: Guidance, *, parallel: int = 2, device: str = "cpu") -> Proposal:
    """Choose what competes, draw sides of sizes that fit, and write it down.

    Args:
        looked: The folder.
        guidance: What the user has said.
        parallel: Trials at once.
        device: cpu or cuda.

    Raises:
        ConfigError: A family, an algorithm, or weights do not exist; there are too few pictures.
    """
    n_train, ratio, test = _sizes(looked, guidance)
    seconds = _SEARCHING * 60 * guidance.minutes
    families, left_out = _families(looked, guidance, n_train, seconds, device)
    document = _document(looked, guidance, families, n_train, ratio, test, seconds, parallel)
    return Proposal(
        text=_opening(looked, guidance, left_out) + _yaml(document), families=tuple(each.name for each in families),
        left_out=left_out, seconds=seconds,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A folder that was looked at, with the benchmark file that searches a model for it."""

    looked: Looked
    proposal: Proposal
    file: Path
    """In the workspace, `automl/<name>.yaml`."""


def prepare(
    folder: Path,
    guidance: Guidance,
    workspace: Path,
    *,
    workers: int,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Prepared:
    """Look at a folder, and write the benchmark file of a search into the workspace.

    Args:
        folder: Of pictures.
        guidance: What the user has said.
        workspace: Folder that the run will use.
        workers: Pictures, and later trials, at once.
        device: cpu or cuda.
        progress: Told how many pictures are read.

    Raises:
        ConfigError, DataError, LeakageError: As of `look` and `propose`.
    """
    place = Workspace(workspace)
    with place.shared():
        looked = look(folder, guidance, place, workers=workers, progress=progress)
        proposal = propose(looked, guidance, parallel=workers, device=device)
        file = place.root / "automl" / f"{guidance.called(folder)}.yaml"
        with disk_faults_named(file):
            file.parent.mkdir(exist_ok=True)
        write_aside(file, proposal.text.encode())
    return Prepared(looked=looked, proposal=proposal, file=file)


def _sizes(looked: Looked, guidance: Guidance) -> tuple[int, float, float]:
    """Subjects that train, validating ones for each of them, and the share or number that is tested.

    Raises:
        ConfigError: There are too few.
    """
    total, tested, validating = looked.counts
    n_test = tested if tested >= 0 else max(1, round(guidance.test * total))
    left = total - n_test
    n_validation = validating if validating >= 0 else max(1, round(guidance.validation * left))
    n_train = left - n_validation
    classes = len(looked.summary.classes)
    if n_train < max(_LEAST_TRAINED, classes):
        raise ConfigError(
            f"{looked.folder.name} has {total} pictures with a target: {n_test} to test and {n_validation} to validate "
            f"leave {n_train} to train on, too few. Collect more, or lower `test` and `validation`."
        )
    # As many as are asked for must come out of the rounded product again.
    return n_train, math.ceil(1e6 * n_validation / n_train) / 1e6, n_test


def _families(
    looked: Looked, guidance: Guidance, n_train: int, seconds: float, device: str
) -> tuple[list[Family], dict[str, str]]:
    known = dict(FAMILIES)
    for weights in guidance.weights:
        if weights.encoder not in ENCODERS:
            told = nearest(weights.encoder, [name for name, each in ENCODERS.items() if each.published])
            raise ConfigError(f"`weights`: unknown encoder {weights.encoder!r}. {told}")
        name = f"pretrained-{weights.encoder.replace('_', '-')}"
        known[name] = Family(name=name, method="pretrained", encoder=weights.encoder, about="from the weights")
    unknown = [name for name in guidance.families if name not in known]
    if unknown:
        raise ConfigError(f"`families`: unknown family {unknown[0]!r}. {nearest(unknown[0], known)}")
    _check_features(guidance, [known[name] for name in guidance.families or known])
    from ctlr.searches import round_sizes  # brings the samplers, which are slow to load

    side = min(looked.stored.shape[1:])
    kinds = looked.task.kinds
    fitting = [
        each
        for each in known.values()
        if kinds <= {*METHODS[each.method].task_kinds} and (not each.encoder or ENCODERS[each.encoder].least <= side)
    ]
    if guidance.families:
        lacking = [name for name in guidance.families if name not in {each.name for each in fitting}]
        if lacking:
            raise ConfigError(
                f"`families`: {lacking[0]} does not fit: pictures of {side} pixels a side and a "
                f"{' and a '.join(sorted(kinds))}. Raise `side`, or name others."
            )
        return [each for each in fitting if each.name in guidance.families], {}
    turn = seconds / len(round_sizes(len(fitting), _KEEP)) / len(fitting)
    networks = dict.fromkeys(each.encoder for each in fitting if each.encoder)
    epochs = epoch_seconds(list(networks), looked.stored.shape, n_train, device)
    left_out = {
        each.name: f"an epoch takes some {epochs[each.encoder]:.0f} s, and its first turn {turn:.0f} s"
        for each in fitting
        if each.encoder and epochs[each.encoder] > 2 * turn
    }
    return [each for each in fitting if each.name not in left_out], left_out


def _check_features(guidance: Guidance, families: Sequence[Family]) -> None:
    """Refuse features that do not exist, that nobody sees, or that need weights.

    Raises:
        ConfigError: One of these.
    """
    if unknown := [kind for kind in guidance.features if kind not in KINDS]:
        raise ConfigError(f"`features`: unknown features {unknown[0]!r}. {nearest(unknown[0], KINDS)}")
    if guidance.features and all(family.has_network for family in families):
        raise ConfigError("`features` are for models without a network, and none competes. Name one in `families`.")
    if "network" in guidance.features and not guidance.weights:
        raise ConfigError("`features`: those of a `network` need its `weights`. Name them, or other features.")


# ---------------------------------------------------------------- the file


def _document(
    looked: Looked,
    guidance: Guidance,
    families: Sequence[Family],
    n_train: int,
    ratio: float,
    test: float,
    seconds: float,
    parallel: int,
) -> dict[str, Any]:
    data, (channels, *shape) = looked.data, looked.stored.shape
    dataset: dict[str, Any] = {"kind": "images", "root": data.root, "copies": "together"}
    dataset |= {
        key: value for key, value in (("table", data.table), ("group_column", data.group_column)) if value is not None
    }
    if data.table is not None:
        dataset["file_column"] = data.file_column
    dataset["preprocess"] = {
        "shape": shape, "channels": channels, "normalise": "percentile",
        "on_bad_subject": "exclude",
    }  # fmt: skip
    split: dict[str, Any] = {"validation": ratio, "seed": guidance.seed}
    if looked.counts[1] < 0:
        split["test"] = test
    race: dict[str, Any] = {"finalists": _FINALISTS}
    race |= {
        key: value
        for key in ("goal", "most_megabytes", "most_milliseconds")
        if (value := getattr(guidance, key)) is not None
    }
    tuning: dict[str, Any] = {"seconds": round(seconds, 1), "race": race, "parallel": parallel, "share": False}
    tuning["trials"] = guidance.trials
    if guidance.algorithm is not None:
        tuning["algorithm"] = guidance.algorithm
    if guidance.warm_start is not None:
        tuning["warm_start"] = str(Path(guidance.warm_start).resolve())
    task: dict[str, Any] = {
        "target": looked.task.target, "kind": looked.task.kind, "metric": looked.task.headline,
    }  # fmt: skip
    if guidance.inputs:
        task["inputs"] = list(guidance.inputs)
    if looked.task.also:
        task["also"] = [{"target": each.target, "kind": each.kind} for each in looked.task.also]
    name = dns_name(looked.task.target, 40)
    return {
        "name": guidance.called(looked.folder),
        "description": f"Which model predicts {looked.task.target} best, in {guidance.minutes:g} minutes?",
        "datasets": {"pictures": dataset},
        "tasks": {name: task},
        "transfers": [{"target": {"data": "pictures", "task": name}}],
        "encoders": {name: {} for name in _encoders(families, guidance)},
        "methods": _methods(families, guidance),
        "baselines": ["covariates"] if guidance.inputs else [],
        "sample_sizes": [n_train],
        "seeds": [guidance.seed],
        "split": split,
        "training": {"finetune": {"refit": True}},
        "tuning": tuning,
        "tracking": {"backend": "none"},
    }


def _encoders(families: Sequence[Family], guidance: Guidance) -> list[str]:
    """Of scratch, and of weights; a benchmark of models without a network names one all the same."""
    named = dict.fromkeys(each.encoder for each in families if each.encoder)
    if guidance.weights and any(not each.has_network for each in families):
        named[guidance.weights[0].encoder] = None  # whose features models without a network see
    return list(named) or ["small_cnn"]


def _methods(families: Sequence[Family], guidance: Guidance) -> dict[str, Any]:
    methods: dict[str, Any] = {}
    tried = guidance.features
    for family in families:
        if family.method == "scratch":
            methods["scratch"] = {}
        elif not family.has_network:
            seen = {"features": {"kind": tried[0], "tried": list(tried)}} if tried else {}
            frozen = _weights(guidance.weights[0], "network") if guidance.weights else {}
            methods[family.name] = {"method": family.method, "refit": True, **seen, **frozen}
    for family in families:
        if family.method == "pretrained":
            weights = next(each for each in guidance.weights if each.encoder == family.encoder)
            methods[family.name] = {"method": "pretrained", **_weights(weights, "weights")}
    return methods


def _weights(weights: Weights, option: str) -> dict[str, Any]:
    """What a method has to say of a file of weights, which the option names."""
    file = Path(weights.file)
    return {
        "encoder": weights.encoder, option: str(file.resolve()), "sha256": _sha256(file), "licence": weights.licence,
        "trained_on": list(weights.trained_on),
    }  # fmt: skip


def _sha256(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"`weights`: {file} cannot be read ({error.strerror}). Name a file of weights.") from error


def _opening(looked: Looked, guidance: Guidance, left_out: Mapping[str, str]) -> str:
    lines = [
        f"ctlr run {guidance.called(looked.folder)}.yaml",
        "",
        f"Made by `ctlr automl` from {looked.summary.known} pictures of some {looked.sizes[0]} x {looked.sizes[1]} "
        f"pixels: {looked.summary.words}.",
        *looked.warnings,
        *(f"Left out: {name}, since {why}." for name, why in left_out.items()),
    ]
    return "".join(f"# {' '.join(line.split())}".rstrip() + "\n" for line in lines) + "\n"


def _yaml(document: Mapping[str, Any]) -> str:
    writer, text = YAML(), io.StringIO()
    writer.default_flow_style = None
    writer.width = 4096
    writer.dump(dict(document), text)
    return text.getvalue()
