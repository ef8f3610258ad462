import json
import math
import re
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ctlr.methods.meta import MAMLSpec
from ctlr.methods.scratch import ScratchSpec
from ctlr.methods.simclr import SimCLRSpec
from ctlr.methods.supervised import SupervisedSpec
from ctlr.specs import (
    DATASETS,
    ENCODERS,
    METHODS,
    METRICS,
    AnyDataset,
    AnyMethod,
    BidsSpec,
    CohortSpec,
    DataTask,
    EncoderSpec,
    FinetuneSpec,
    FitSpec,
    PreprocessSpec,
    PretrainSpec,
    SplitSpec,
    Study,
    StudyResult,
    TaskSpec,
    Value,
    ViewsSpec,
    dns_name,
    encoder_spec,
    fingerprint,
    trial_row,
)

AGE = TaskSpec(name="age", target="age", kind="regression")
COHORT = CohortSpec(name="cohort")


def a_study(**changes: object) -> Study:
    base = Study(
        target=DataTask(data=COHORT, task=AGE),
        method=ScratchSpec(label="scratch"),
        encoder=EncoderSpec(label="small_cnn", name="small_cnn"),
        n_train=20,
        n_reserved=20,
        seed=0,
    )
    return base.model_copy(update=changes)


def test_values_that_hold_mappings_are_told_apart_and_found_again() -> None:
    kinds: list[Literal["classification", "regression"]] = ["classification", "regression"]
    first, other = (MAMLSpec(columns={"sex": kind}) for kind in kinds)
    assert {first: 1, other: 2}[MAMLSpec(columns={"sex": "classification"})] == 1


def test_a_fingerprint_is_the_head_of_sha256() -> None:
    assert fingerprint("ab") == "969caaeb3626c0d5695eefa6"  # printf 'ab\0' | sha256sum


def test_a_fingerprint_knows_where_its_parts_end() -> None:
    assert len({fingerprint("ab", "c"), fingerprint("a", "bc"), fingerprint("abc"), fingerprint("abc", "")}) == 4


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=80), limit=st.integers(8, 63))
def test_any_text_becomes_a_dns_name(text: str, limit: int) -> None:
    name = dns_name(text, limit)
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= limit
    assert dns_name(name, limit) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [("Brain Age!", "brain-age"), ("3d_cnn", "x-3d-cnn"), ("", "x"), ("simclr", "simclr"), ("--", "x")],
)
def test_known_texts_become_known_names(text: str, name: str) -> None:
    assert dns_name(text) == name


def test_values_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FitSpec().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    "text",
    ['{"epochs": "30"}', '{"epochs": 1.5}', '{"epochs": 0}', '{"lr": 0}', '{"lr": NaN}', '{"nope": 1}', '{"clip": -1}'],
)
def test_a_training_stage_refuses_what_breaks_a_rule(text: str) -> None:
    with pytest.raises(ValidationError):
        FitSpec.model_validate_json(text)


@pytest.mark.parametrize("shape", [(32,), (32, 32, 32, 32), (4, 32), (32, 2000)])
def test_an_image_has_two_or_three_sides_of_sane_length(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError):
        PreprocessSpec(shape=shape)


def test_five_classes_are_too_few_to_look_for_the_true_one_among_five() -> None:
    with pytest.raises(ValidationError, match="needs more than 5 `classes`; got 2. Take accuracy"):
        TaskSpec(target="x", kind="classification", metric="top5_accuracy", classes=("a", "b"))


@pytest.mark.parametrize("metric", METRICS)
def test_a_metric_fits_one_kind_of_task(metric: str) -> None:
    fits = []
    for kind in ("regression", "classification"):
        try:
            task = TaskSpec.model_validate({"target": "x", "kind": kind, "metric": metric})
        except ValidationError:
            continue
        fits.append(kind)
        assert task.direction == METRICS[metric]
    assert len(fits) == 1


def test_each_kind_of_task_has_a_headline() -> None:
    assert (AGE.headline, AGE.direction) == ("mae", "min")
    sex = TaskSpec(target="sex", kind="classification")
    assert (sex.headline, sex.direction) == ("balanced_accuracy", "max")


@pytest.mark.parametrize("classes", [(), ("a",), ("a", "a")])
def test_a_choice_of_classes_holds_two_at_least(classes: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="at least two different names"):
        TaskSpec(target="x", kind="classification", classes=classes)


def test_an_unknown_encoder_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match="Did you mean 'resnet18'"):
        EncoderSpec(name="resnet-18")


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_of_the_table_can_be_asked_for(name: str) -> None:
    assert encoder_spec(name).name == name


DATASET_EXAMPLES = {
    "points": {"table": "points.csv", "features": ["x"]},
    "generated_points": {"generator": "toroid"},
    "series": {"preprocess": {"shape": [2, 16]}},
    "volumes": {"table": "table.csv"},
}


@pytest.mark.parametrize(("table", "union"), [(METHODS, AnyMethod), (DATASETS, AnyDataset)])
def test_each_kind_is_read_back_as_itself(table: dict[str, type[Value]], union: object) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(union)
    needed: dict[str, object] = {"root": "somewhere", "set": "cifar10"}
    for name, kind in table.items():
        options = {field: needed[field] for field in needed if field in kind.model_fields}
        example = METHODS[name].example if table is METHODS else DATASET_EXAMPLES.get(name, {})
        value = kind.model_validate_json(json.dumps(options | dict(example)))
        assert type(adapter.validate_json(adapter.dump_json(value))) is kind


def test_simclr_has_views_to_contrast_unless_told_otherwise() -> None:
    assert SimCLRSpec().pretrain.views == ViewsSpec()


def test_a_study_survives_json() -> None:
    study = a_study(method=SupervisedSpec(label="supervised"), source=DataTask(data=COHORT, task=AGE))
    assert Study.model_validate_json(study.model_dump_json()) == study


def test_a_studys_id_tells_method_task_size_and_seed() -> None:
    study = a_study()
    assert study.id == f"scratch-age-n20-s0-{study.identity()[:10]}"
    assert len(a_study(method=ScratchSpec(label="x" * 40)).id) <= 40


def test_folders_and_labels_do_not_make_another_study() -> None:
    def at(root: str) -> Study:
        return a_study(target=DataTask(data=BidsSpec(name="scans", root=root), task=AGE))

    assert at("/here").identity() == at("/there").identity()
    assert a_study(method=ScratchSpec(label="baseline")).identity() == a_study().identity()


@pytest.mark.parametrize(
    "changes",
    [
        {"n_train": 21},
        {"n_reserved": 21},
        {"seed": 1},
        {"split": SplitSpec(seed=1)},
        {"method": ScratchSpec(label="scratch", finetune=FinetuneSpec(lr=0.1))},
        {"encoder": EncoderSpec(label="small_cnn", name="small_cnn", norm="group")},
        {"target": DataTask(data=CohortSpec(name="cohort", seed=1), task=AGE)},
        {"source": DataTask(data=COHORT, task=AGE)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_anything_that_decides_numbers_makes_another_study(changes: dict[str, object]) -> None:
    assert a_study(**changes).identity() != a_study().identity()


def test_pretraining_does_not_depend_on_how_it_is_finetuned() -> None:
    def of(n_train: int, lr: float) -> str:
        method = SimCLRSpec(label=f"lr{lr}", finetune=FinetuneSpec(lr=lr))
        spec = PretrainSpec.of(a_study(method=method, n_train=n_train))
        assert spec is not None
        return spec.identity()

    assert of(20, 0.1) == of(50, 0.2)
    warm = PretrainSpec.of(a_study(method=SimCLRSpec(temperature=0.9)))
    assert warm is not None
    assert warm.identity() != of(20, 0.1)


def test_a_method_without_pretraining_needs_none() -> None:
    assert PretrainSpec.of(a_study()) is None


def test_a_result_is_a_flat_row() -> None:
    result = StudyResult(
        study=a_study(), scores={"test": {"mae": 8.5}, "train": {"mae": 2.0}}, seconds={"finetune": 3.0}
    )
    row = result.record()
    assert row["test_mae"] == 8.5
    assert row["train_mae"] == 2.0
    assert row["seconds_finetune"] == 3.0
    assert (row["method"], row["data"], row["source"], row["target"]) == ("scratch", "cohort", "", "age")
    assert (row["encoder"], row["n_train"], row["seed"], row["status"]) == ("small_cnn", 20, 0, "ok")


def test_a_result_holds_no_number_that_json_lacks() -> None:
    with pytest.raises(ValidationError, match="finite"):
        StudyResult(study=a_study(), scores={"test": {"mae": math.nan}})


def test_a_parameter_that_is_called_like_a_column_or_like_its_new_name_keeps_a_column_of_its_own() -> None:
    row = trial_row({"seconds": 1.5}, {"seconds": "5", "params_seconds": "9", "x": "2"})
    assert row == {"seconds": 1.5, "params_params_seconds": "5", "params_seconds": "9", "x": "2"}


class _Parent(Value):
    first: int = 1
    """Of the parent,
    in two lines."""
    second: int = 2


class _Child(_Parent):
    second: int = 3
    """Of the child."""
    third: int = 4


def test_a_field_is_described_by_the_words_below_it_and_those_of_its_parents() -> None:
    assert _Child.meanings() == {"first": "Of the parent,\nin two lines.", "second": "Of the child."}
    properties = _Child.model_json_schema()["properties"]
    assert {name: held.get("description") for name, held in properties.items()} == {
        "first": "Of the parent,\nin two lines.", "second": "Of the child.", "third": None,
    }  # fmt: skip
    assert "second" not in _Parent.meanings()
