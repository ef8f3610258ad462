"""Published sets in a benchmark file: their classes, their numbers, their files."""

from pathlib import Path

import pytest
from published import write_cifar10

from ctlr.config import load, public_dump, resolved_yaml
from ctlr.cost import costs
from ctlr.errors import ConfigError
from ctlr.plan import make_plan
from ctlr.specs import DigitsSpec, Study, TorchvisionSpec

PICTURES = """\
name: pictures
datasets:
  low: {kind: digits, classes: ["0", "1", "2"], per_class: 150}
  photos:
    kind: torchvision
    set: cifar10
    root: data
    classes: [cat, dog]
tasks:
  kind: {target: class, kind: classification}
transfers:
  - {source: {data: photos, task: kind}, target: {data: low, task: kind}}
encoders: {small_cnn: {}}
methods: {scratch: {}, supervised: {}}
sample_sizes: [20]
seeds: [0]
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    path = tmp_path / "pictures.yaml"
    path.write_text(PICTURES)
    write_cifar10(tmp_path / "data", per_class=1)
    return path


def test_published_sets_are_pictures_of_32_pixels_a_side_until_told(pictures: Path) -> None:
    data = load(pictures).datasets
    assert isinstance(data["low"], DigitsSpec)
    assert isinstance(data["photos"], TorchvisionSpec)
    assert {dataset.preprocess.shape for dataset in data.values()} == {(32, 32)}
    assert data["photos"].root == str(pictures.parent / "data")


def test_the_plan_knows_how_many_pictures_there_are_without_reading_them(pictures: Path) -> None:
    images = {cost.data: cost.images for cost in costs(make_plan(load(pictures)), {}, {}) if cost.stage == "preprocess"}
    assert images == {"low": 450, "photos": 12000}


def test_a_published_set_is_the_same_wherever_its_files_lie(pictures: Path) -> None:
    config = load(pictures)
    assert public_dump(config)["datasets"]["photos"]["root"] == "photos"
    study = make_plan(config).studies[-1]
    assert study.source is not None
    moved = study.source.model_copy(update={"data": study.source.data.model_copy(update={"root": "/elsewhere"})})
    assert study.model_copy(update={"source": moved}).identity() == study.identity()
    assert "elsewhere" not in study.model_copy(update={"source": moved}).without_folders().model_dump_json()
    assert Study.model_validate_json(study.model_dump_json()) == study


def test_a_file_written_out_reads_back_the_same(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "whole.yaml").write_text(resolved_yaml(load(pictures)))
    assert load(tmp_path / "whole.yaml") == load(pictures)


BROKEN = [
    ("datasets.photos.classes=[cat, doog]", "`classes`: there is no class 'doog'. Did you mean 'dog'?"),
    ("datasets.low.classes=['1', '2', '1']", "`classes` must name each class once; '1' stands there twice."),
    ("datasets.low.classes=['1']", "datasets.low.classes: must have at least 2 items; got a list of 1."),
    ("datasets.photos.set=cifar100", "datasets.photos.set: must be 'cifar10' or 'emnist-balanced'; got 'cifar100'."),
    ("datasets.photos.root=nowhere", "'cifar10' needs cifar-10-batches-py/data_batch_1"),
    ("datasets.low.preprocess.shape=[8, 8, 8]", "datasets.low.preprocess.shape: pictures have two sides"),
    ("tasks.kind.target=digit", "a picture's only label is its class"),
    ("sample_sizes=[200]", "200 to train, 200 to validate and 112 to test need 512 subjects; 'low' has 450. "
                           "Lower it, or raise `datasets.low.per_class`."),
    ("split.source_validation=1", "split.source_validation: must be below 1"),
]  # fmt: skip


@pytest.mark.parametrize(("setting", "message"), BROKEN, ids=[setting for setting, _ in BROKEN])
def test_a_broken_rule_is_named_with_its_value_and_remedy(pictures: Path, setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(pictures, [setting])
    assert message in str(caught.value)
