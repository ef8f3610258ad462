"""The benchmark file of a folder of pictures, from what a form says; a person may edit it, and run it by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from ctlr.errors import ConfigError
from ctlr.specs import ENCODERS as KNOWN
from ctlr.specs import METRICS, REGRESSION_METRICS, dns_name
from ctlr.ui.examining import Examined
from ctlr.ui.folders import Folder, allowed_file, allowed_folder
from ctlr.ui.processes import benchmark_file
from ctlr.workspace import write_aside

__all__ = [
    "ENCODERS",
    "METHODS",
    "Choices",
    "automl_words",
    "guidance_choices",
    "read_choices",
    "suggested",
    "write_benchmark",
]

METHODS: Mapping[str, str] = {
    "scratch": "a network from random weights (always there: what the others are compared with)",
    "simclr": "first learn from all pictures without labels, by contrasting two views of each",
    "vat": "labelled and unlabelled pictures at once, by virtual adversarial training",
    "fixmatch": "sure guesses for unlabelled pictures count as labels",
}
"""What may be compared, in words; all of them learn from the folder alone."""

ENCODERS = tuple(name for name, part in KNOWN.items() if 2 in part.dimensions)
"""Networks for pictures, small ones first."""

_NUMBERS = ("goal", "most_megabytes", "most_milliseconds", "trials")
_WORDS = ("metric", "algorithm")
_LISTS = ("families", "features")
"""What a form may say of a search for a model, by the names of `Guidance`."""

_SIDES = (28, 32, 48, 64, 96, 128, 224)
_TEST = 0.25
_LEAST_SIDE = 32


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a person chose."""

    name: str
    side: int
    colour: bool
    methods: tuple[str, ...]
    encoder: str
    n_train: int
    seeds: int
    epochs: int
    apart: bool = False
    """Whether pictures that look alike, or overlap, are different ones."""
    workers: int = 0


def suggested(folder: Folder, examined: Examined) -> Choices:
    """What is chosen where a person lets the app choose."""
    usable = len(examined.files) - len({file for file, _ in examined.faults})
    usable -= sum(len(group) - 1 for group in examined.copies)
    side = max(_LEAST_SIDE, min((each for each in _SIDES if each >= examined.usual_side), default=_SIDES[-1]))
    # As many pictures validate as train, and a quarter tests.
    n_train = max(len(examined.classes), int(usable * (1 - _TEST) / 2 * 0.9))
    return Choices(
        name=dns_name(folder.name, 40), side=min(side, 64), colour=examined.coloured > len(examined.files) / 20,
        methods=("scratch", "simclr"), encoder="small_cnn", n_train=min(n_train, 1000), seeds=1, epochs=30,
    )  # fmt: skip


def read_choices(form: Mapping[str, str], methods: Sequence[str]) -> Choices:
    """A form's values.

    Raises:
        ConfigError: One is not what it may be; names it.
    """
    unknown = [method for method in methods if method not in METHODS]
    encoder = form.get("encoder", "")
    if unknown or encoder not in ENCODERS:
        raise ConfigError(f"a method or network is not known: {(unknown or [encoder])[0]!r}.")
    name = form.get("name", "")
    if not name or dns_name(name, 40) != name:
        raise ConfigError(f"the name must be at most 40 of a-z, 0-9 and '-', a letter first; got {name[:60]!r}.")
    return Choices(
        name=name, side=_whole(form, "side", 8, 512), colour=form.get("colour") == "yes",
        methods=tuple(dict.fromkeys(("scratch", *methods))), encoder=encoder,
        n_train=_whole(form, "n_train", 2, 10**7), seeds=_whole(form, "seeds", 1, 100),
        epochs=_whole(form, "epochs", 1, 10_000), apart=form.get("apart") == "yes",
        workers=_whole(form, "workers", 0, 1024),
    )  # fmt: skip


def guidance_choices() -> dict[str, list[str]]:
    """What a search for a model may be told by name."""
    from ctlr.automl import FAMILIES  # brings what reads pictures
    from ctlr.shallow.families import KINDS
    from ctlr.tuning.samplers import SAMPLERS

    return {
        "metrics": [name for name in METRICS if name not in REGRESSION_METRICS], "algorithms": list(SAMPLERS),
        "families": list(FAMILIES), "features": [kind for kind, sides in KINDS.items() if 2 in sides],
        "weights": [name for name in ENCODERS if KNOWN[name].published],
    }  # fmt: skip


def automl_words(folder: Folder, form: Mapping[str, str], below: Sequence[Path]) -> tuple[str, list[str]]:
    """The name of a run, and the words of the `ctlr automl` that a form asks for.

    Args:
        folder: Of pictures.
        form: Its fields.
        below: Folders in one of which weights, and the workspace to begin from, must lie.

    Raises:
        ConfigError: A value is not what it may be; names it.
    """
    from ctlr.automl import Guidance  # brings what reads pictures

    given: dict[str, Any] = {"name": form.get("name", ""), "minutes": _number(form, "minutes")}
    told = {name: form[name].strip() for name in (*_NUMBERS, *_WORDS, *_LISTS) if form.get(name, "").strip()}
    given |= {name: _number(form, name) for name in _NUMBERS if name in told and name != "trials"}
    given |= {"trials": _whole(form, "trials", 1, 10**6)} if "trials" in told else {}
    given |= {name: told[name] for name in _WORDS if name in told}
    given |= {name: [each.strip() for each in told[name].split(",") if each.strip()] for name in _LISTS if name in told}
    guidance = Guidance.of(given)
    name = guidance.called(folder.root)
    words = ["automl", str(folder.root), "--name", name, "--minutes", f"{guidance.minutes:g}"]
    for option in (*_NUMBERS, *_WORDS, *_LISTS):
        if option in told:
            value = getattr(guidance, option)
            words += [f"--{option.replace('_', '-')}", ",".join(value) if option in _LISTS else str(value)]
    if weights := form.get("weights", "").strip():
        words += ["--weights", f"{allowed_file(weights, below)}:{form.get('weights_of', '')}"]
    if earlier := form.get("warm_start", "").strip():
        words += ["--warm-start", str(allowed_folder(earlier, below))]
    if workers := _whole(form, "workers", 0, 1024):
        words += ["--workers", str(workers)]
    return name, words


def _number(form: Mapping[str, str], name: str) -> float:
    text = form.get(name, "")
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"`{name}` must be a number; got {text[:40]!r}.") from error


def _whole(form: Mapping[str, str], name: str, low: int, high: int) -> int:
    text = form.get(name, "")
    try:
        value = int(text)
    except ValueError as error:
        raise ConfigError(f"`{name}` must be a whole number; got {text[:40]!r}.") from error
    if not low <= value <= high:
        raise ConfigError(f"`{name}` must be from {low} to {high}; got {value}.")
    return value


def write_benchmark(root: Path, folder: Folder, examined: Examined, choices: Choices, *, planned: bool = False) -> Path:
    """Write the benchmark of a folder where the app's runs lie.

    Args:
        root: Workspace.
        folder: Of pictures.
        examined: What it holds.
        choices: What a person chose.
        planned: Only to be looked at: it lies with the folder, and no run is there yet.

    Returns:
        The file; `ctlr run FILE -w WORKSPACE` does what the app does.
    """
    values: dict[str, Any] = {
        "name": choices.name,
        "description": f"Pictures of {len(examined.classes)} classes from {folder.name}.",
        "datasets": {
            "pictures": {
                "kind": "images",
                "root": str(folder.root),
                "preprocess": {
                    "shape": [choices.side, choices.side], "channels": 3 if choices.colour else 1,
                    "normalise": "percentile", "on_bad_subject": "exclude",
                },
            }
        },
        "tasks": {"kind": {"target": "class", "kind": "classification"}},
        "transfers": [{"target": {"data": "pictures", "task": "kind"}}],
        "encoders": {choices.encoder: {}},
        "methods": {method: {} for method in choices.methods},
        "sample_sizes": [choices.n_train],
        "seeds": list(range(choices.seeds)),
        "split": {"test": _TEST},
        "training": {"pretrain": {"epochs": choices.epochs}, "finetune": {"epochs": choices.epochs}},
        "tracking": {"backend": "none"},
    }  # fmt: skip
    if choices.apart:
        values["leaks"] = {"copies": None}
    else:
        values["datasets"]["pictures"]["copies"] = "together"
    text = io.StringIO()
    text.write(f"# Written by `ctlr ui` for {json.dumps(folder.name)}. Without it: ctlr run FILE -w WORKSPACE\n")
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(values, text)
    file = folder.home / f"{choices.name}.yaml" if planned else benchmark_file(root, choices.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_aside(file, text.getvalue().encode())
    return file
