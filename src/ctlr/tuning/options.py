"""Options of a study by name: what a search may set, and the study with other values in their place.

An address is `finetune.lr`, `pretrain.lr`, `method.temperature` (the method's own options) or `encoder.width`; options
of views lie one level deeper (`finetune.views.rotate`). A bare name means the method's own option if it has one, else
the finetuning option.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any, Literal, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ctlr.errors import ConfigError, nearest
from ctlr.specs import (
    METRICS,
    MethodSpec,
    Parameter,
    PretrainSpec,
    Study,
    Value,
    misfits,
)

__all__ = [
    "STAGES",
    "Resampling",
    "Stage",
    "address_of",
    "check_stage",
    "check_validation",
    "known_options",
    "objective_of",
    "parse_validation",
    "sample_assignments",
    "scalar_of",
    "with_options",
]

Stage = Literal["finetune", "pretrain", "joint"]
"""What a trial trains: the target task on a fixed pretraining, the pretraining alone, or both with its options."""
STAGES: tuple[Stage, ...] = get_args(Stage)

Path = tuple[str, ...]

_DIGITS = 800
"""Of differences between any two doubles."""

_UNFROZEN = {"n_frozen", "n_copied", "l2_sp", "norm_statistics"}
"""Options without a meaning for methods that have no pretrained weights to keep."""


class Resampling(Value):
    """How a trial is validated."""

    kind: Literal["holdout", "kfold", "repeats"] = "holdout"
    """The study's own validation side; folds over train and validation subjects; the holdout of several seeds."""
    count: int = 1
    """Trainings a trial: folds or seeds."""


def parse_validation(text: str) -> Resampling:
    """Read `holdout`, `kfold:5` or `repeats:3`.

    Raises:
        ConfigError: It is none of them, or the number is below 2.
    """
    kind, _, number = text.partition(":")
    if text == "holdout":
        return Resampling()
    if kind in ("kfold", "repeats") and number.isdecimal() and int(number) >= 2:
        return Resampling(kind="kfold" if kind == "kfold" else "repeats", count=int(number))
    raise ConfigError(f"`--validation` must be holdout, kfold:K or repeats:R with K, R >= 2; got {text!r}.")


def check_validation(study: Study, scheme: Resampling) -> None:
    """Refuse folds that a study has not the subjects for, or that its method cannot be judged by.

    Raises:
        ConfigError: Names the number of folds and the remedy.
    """
    if scheme.kind != "kfold":
        return
    subjects = study.n_train + study.split.n_validation(study.n_train)
    if subjects < 2 * scheme.count:
        remedy = f"Ask for at most {subjects // 2} folds." if subjects >= 4 else "Use holdout or repeats."
        raise ConfigError(
            f"kfold:{scheme.count} needs two subjects a fold; train and validation side have {subjects} at n = "
            f"{study.n_train}. {remedy}"
        )
    learned = study.method.pretraining
    if learned is not None and learned.labels == "target":
        raise ConfigError(
            f"kfold:{scheme.count}: a {study.method.method}'s first network learns the labels that a fold would "
            "validate on. Use holdout or repeats."
        )


# ---------------------------------------------------------------- names


def known_options(study: Study) -> dict[str, Path]:
    """Every option that a search can set for a study: address, and where it stands in the study."""
    method = type(study.method)
    own = {"label", "method", "encoder", "finetune", "pretrain", "plugin", "refit"}
    found = {f"method.{name}": ("method", *path) for name, path in _leaves(method, leave_out=own)}
    for stage in ("pretrain", "finetune"):
        if stage in method.model_fields and method.trains_network:
            model = _model_in(method.model_fields[stage].annotation)
            assert model is not None
            unused = {"refit"} if method.pretrains else {"refit", *_UNFROZEN}
            found |= {f"{stage}.{name}": ("method", stage, *path) for name, path in _leaves(model, leave_out=unused)}
    if not study.method.has_encoder:
        return found
    leaves = _leaves(type(study.encoder), leave_out={"label", "name", "plugin"})
    return found | {f"encoder.{name}": ("encoder", *path) for name, path in leaves}


def _leaves(model: type[BaseModel], *, leave_out: Iterable[str] = ()) -> Iterator[tuple[str, Path]]:
    for name, info in model.model_fields.items():
        if name in leave_out:
            continue
        below = _model_in(info.annotation)
        if below is None:
            yield name, (name,)
        else:
            yield from ((f"{name}.{leaf}", (name, *path)) for leaf, path in _leaves(below))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model among an annotation's alternatives."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(_model_in, get_args(annotation)) if found), None)


def address_of(name: str, known: Mapping[str, Path], study: Study) -> str:
    """The full address of an option, one of those that `known_options` knows.

    Raises:
        ConfigError: The study has no such option.
    """
    for address in (name, f"method.{name}", f"finetune.{name}"):
        if address in known:
            return address
    short = [other.removeprefix("method.").removeprefix("finetune.") for other in known]
    hints = [other for other in short if "views." not in other or "views." in name]
    raise ConfigError(
        f"`{name}`: {study.method.label or study.method.method} has no such option. {nearest(name, hints)}"
    )


# ---------------------------------------------------------------- values


def with_options(study: Study, assignments: Mapping[str, str]) -> Study:
    """The study with some options of its method and encoder replaced.

    Args:
        study: What is tuned.
        assignments: Value by option's name, each a YAML 1.2 scalar (`1e-4` is a number, `null` is nothing).

    Raises:
        ConfigError: An option is unknown, set twice, or a value breaks its rule; names all of them, one a line.
    """
    known = known_options(study)
    data: dict[str, Any] = {
        "method": study.method.model_dump(mode="json"), "encoder": study.encoder.model_dump(mode="json"),
    }  # fmt: skip
    written: dict[Path, str] = {}
    faults = []
    for name, text in assignments.items():
        try:
            path = known[address_of(name, known, study)]
            if path in written:
                raise ConfigError(f"`{name}`: the same option as `{written[path].partition('=')[0]}`. Remove one.")
            written[path] = f"{name}={text}"
            _put(data, path, scalar_of(name, text))
        except ConfigError as error:
            faults.append(str(error))
    update: dict[str, Any] = {}
    for part, value in (("method", study.method), ("encoder", study.encoder)):
        try:
            update[part] = type(value).model_validate_json(json.dumps(data[part]))
        except ValidationError as error:
            faults += [_explained(detail, part, written) for detail in error.errors(include_url=False)]
    made = study.model_copy(update=update)
    faults = faults or list(_contradictions(made))
    if faults:
        raise ConfigError("\n".join(faults))
    return made


def scalar_of(name: str, text: str) -> Any:
    """What an option's text means in YAML 1.2.

    Raises:
        ConfigError: It is no single value.
    """
    try:
        value = YAML(typ="safe", pure=True).load(io.StringIO(text))
    except YAMLError as error:
        raise ConfigError(f"`{name}={text}`: the value is no YAML scalar. Put a text with signs in quotes.") from error
    if isinstance(value, dict | list):
        raise ConfigError(f"`{name}={text}`: the value must be a single number, text, true, false or null.")
    return value if value is None or isinstance(value, bool | int | float | str) else text


def _put(data: dict[str, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        if data[part] is None:
            data[part] = {}
        data = data[part]
    data[path[-1]] = value


def _explained(error: ErrorDetails, part: str, written: Mapping[Path, str]) -> str:
    """A value's fault in one line: what was written, and the rule."""
    where = (part, *(str(key) for key in error["loc"]))
    rule = error["msg"].replace("Input should be", "must be").removeprefix("Value error, ")
    shown = written.get(where) or ", ".join(text for path, text in written.items() if path[0] == part)
    return f"`{shown}`: {rule}; got {error['input']!r}." if where in written else f"`{shown}`: {rule}."


def _contradictions(study: Study) -> Iterator[str]:
    method = study.method
    yield from (f"`finetune.{key}`: {told}" for key, told in misfits(method.finetune, study.encoder))
    if (fault := method.misfit(study.target.data.stored_shape)) is not None:
        yield "`{}`: {}".format(*fault)
    probes = method.finetune.strategy == "linear_probe"
    if probes and method.finetune.n_frozen:
        yield "`finetune.n_frozen`: `strategy: linear_probe` freezes every block already. Set one of them."
    if probes and not method.pretrains:
        what = method.label or type(method).model_fields["method"].default
        yield f"`finetune.strategy`: {what} has no pretrained weights to keep. Choose another one."
    if method.lacks_views:
        yield f"`pretrain.views`: {method.method} contrasts random views and needs them."


def sample_assignments(parameters: Sequence[Parameter]) -> Iterator[dict[str, str]]:
    """Assignments as algorithms write them: every value of each list, both ends of each range and a place inside."""
    values = {parameter.name: _sample_values(parameter) for parameter in parameters}
    for number in range(max(map(len, values.values()))):
        yield {name: each[min(number, len(each) - 1)] for name, each in values.items()}


def _sample_values(parameter: Parameter) -> tuple[str, ...]:
    if parameter.values:
        return parameter.values
    low, high = Decimal(parameter.low), Decimal(parameter.high)
    if parameter.step:  # the last value of the grid, which need not end where the range does
        step = Decimal(parameter.step)
        with localcontext(prec=_DIGITS):
            low, inside, high = low, low + step, high - (high - low) % step
    else:
        inside = low + (high - low) * Decimal("0.382")
    if parameter.kind == "int":
        return str(int(low)), str(int(high))
    return repr(float(low)), repr(float(inside)), repr(float(high))


# ---------------------------------------------------------------- stages


def check_stage(study: Study, names: Iterable[str], stage: Stage) -> None:
    """Refuse options that a stage cannot tune honestly.

    Finetuning alone shares one pretraining, so nothing that changes it may be set. Pretraining alone is judged before
    the target is learned; SimCLR's by its own loss, which some options make smaller without making the encoder better.

    Raises:
        ConfigError: Names every such option, one a line.
    """
    what = study.method.label or study.method.method
    if study.method.untuned:
        raise ConfigError(f"`{what}`: {study.method.untuned}, so there is nothing to tune. Name another one.")
    pretrains = PretrainSpec.of(study) is not None
    if stage != "finetune" and not pretrains:
        raise ConfigError(f"`--stage {stage}`: {what} does not pretrain. Use `--stage finetune`.")
    known = known_options(study)
    faults = []
    for name in names:
        address = address_of(name, known, study)
        finetuning = address.startswith("finetune.")
        if stage == "finetune" and pretrains and not finetuning:
            faults.append(f"`{name}`: changes the pretraining, which all trials share. Use `--stage joint`.")
        elif stage == "pretrain" and finetuning:
            faults.append(f"`{name}`: finetuning is not reached at `--stage pretrain`. Did you mean `pretrain.{name}`?")
        elif stage == "pretrain" and (why := _misleading(study.method, address)):
            faults.append(f"`{name}`: {why}. Use `--stage joint`, which is judged by the target.")
    if faults:
        raise ConfigError("\n".join(faults))


def _misleading(method: MethodSpec, address: str) -> str:
    """Why a search of the pretraining alone must not set an option; empty where it may."""
    return next((why for begin, why in method.misleading.items() if address.startswith(begin)), "")


def objective_of(study: Study, stage: Stage) -> tuple[str, str]:
    """What trials of a study are compared by: name of the metric, and `min` or `max`.

    The headline metric on validation subjects: of the target task, or (pretraining alone) of the task that it learns.
    Pretraining without labels has no such metric: its own loss stands in.
    """
    task = study.target.task
    learned = study.method.pretraining
    if stage == "pretrain" and learned is not None and learned.labels != "target":
        if study.source is None or learned.labels is None:
            return "train_loss", "min"
        task = study.source.task
    return f"val_{task.headline}", METRICS[task.headline]
