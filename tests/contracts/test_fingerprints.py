"""What is stored is found again: fingerprints as they were when each kind of data was first released.

One that changes makes every workspace of every user worthless; a new kind adds its own line.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from data_kinds import EXAMPLES, FLAT, SEGMENTS, SOLID
from pydantic import TypeAdapter

from ctlr.config import load
from ctlr.data.preprocess import preprocess
from ctlr.methods.supervised import SupervisedSpec
from ctlr.plan import make_plan
from ctlr.specs import (
    AnyDataset,
    BidsSpec,
    CohortSpec,
    DatasetSpec,
    DataTask,
    DigitsSpec,
    EncoderSpec,
    FontsSpec,
    GeneratedPointsSpec,
    IdxSpec,
    ImagesSpec,
    PointsSpec,
    PretrainSpec,
    SeriesPreprocess,
    SeriesSpec,
    SignalsSpec,
    Study,
    TaskSpec,
    TissueSpec,
    TorchvisionSpec,
)
from ctlr.workspace import Workspace

SPECS: dict[str, DatasetSpec] = {
    "bids": BidsSpec(name="scans", root="/data/scans", session="1", desc="preproc", mask=False, preprocess=SOLID),
    "images": ImagesSpec(name="pictures", root="/data/pictures", preprocess=FLAT),
    "cohort": CohortSpec(name="grown", subjects=3, seed=5, spacing=8.0, overlap=0.25, preprocess=SOLID),
    "torchvision": TorchvisionSpec(name="photos", set="cifar10", root="/data", classes=("cat", "dog"), per_class=9,
                                   preprocess=FLAT),
    "digits": DigitsSpec(name="figures", domain="textured", classes=("1", "7"), per_class=5, seed=2, preprocess=FLAT),
    "idx": IdxSpec(name="clothes", root="/data", names=("shirt", "coat", "bag"), per_class=3, preprocess=FLAT),
    "fonts": FontsSpec(name="type", root="/data", letters="AgQ8", preprocess=FLAT),
    "tissue": TissueSpec(name="sections", cases=4, slides=1, patches=2, side=48, seed=3, preprocess=FLAT),
    "points": PointsSpec(name="table", root="/data", table="t.csv", features=("x", "y"), id="who"),
    "generated_points": GeneratedPointsSpec(name="drawn", generator="toroid", points=(20, 10, 10), seed=3),
    "signals": SignalsSpec(name="recordings", root="/data/recordings", labels={"seizure": "yes"}, preprocess=SEGMENTS),
    "series": SeriesSpec(name="waves", root="/data/waves", set="Six", preprocess=SeriesPreprocess(shape=(2, 16))),
}  # fmt: skip


class Recorded(NamedTuple):
    """Fingerprints of a dataset's spec, of a study that learns from it first, of that pretraining, of its images."""

    spec: str
    study: str
    pretraining: str
    stored: str


RECORDED = {
    "bids": Recorded(
        "85d74756a90a917df2ed2ea4", "73aa0d3f475122427684be0d", "2d07f0afafc5dece334e6558", "61f4cd2fca400663a517b3c9"
    ),
    "images": Recorded(
        "b239f617626e197d8328735e", "7745960fca2756ce90547bb4", "44a5898813fe592f05180b3a", "c72e24fec05e18d54ea3bca9"
    ),
    "cohort": Recorded(
        "0369c720adb516433df62109", "76709321eea36b65ccc495a4", "faa58a0f7b49fb74e0835a58", "560c03acf886dd0c7b258698"
    ),
    "torchvision": Recorded(
        "15570f56764f5b863ce7c284", "532f9c9191f748b523f5fda0", "95f3bac6b20c8796ee0dfdd8", "dd7e6c87fe26aa2f84926e5c"
    ),
    "digits": Recorded(
        "4d47d46a6f8a1fbb356c8da2", "70bf59f33998dd52fa206151", "b1d3910b44ff49ba4bbec604", "afa6bdf6391f6288a36cf4b8"
    ),
    "idx": Recorded(
        "43ed8cfe731d3c979b3d195b", "30e707333652f04154b5c6be", "340c276a3cf8bdeeed2c68d5", "de214807e15954e2e1694ec7"
    ),
    "fonts": Recorded(
        "0d83b84a7cc4a7a892f4e6c4", "04afce0a1625b54eda3b2442", "e29ac425f39845825e622074", "7256ff42b3cc4e39018fcef4"
    ),
    "tissue": Recorded(
        "f5560afb9be9f9ce6b32a20e", "44b6a87041f3678c076aeb4c", "a31f8a30883948fba2229a0f", "218e2de2c8d6e9cfb913222f"
    ),
    "points": Recorded(
        "235b07ea216a0935e2b14e18", "67ac60d18a25a04b5ebaead0", "2cbb5a330c431aeb2b564e9c", "0d6a6fec85e3c0c33fa315e4"
    ),
    "generated_points": Recorded(
        "6a088f876e23ac5c6c6b2cf2", "2a8fe58fd4687c19cf999808", "58561cab11c06061488b4ff5", "4f12186cb4377a1268068ad0"
    ),
    "signals": Recorded(
        "d4cecb665e61dfc6fcb24e8e", "546fa0be04555c411dcfb13d", "bd2f44e613baa2afe9f0c8f8", "7896ac918139c8e18aa2355f"
    ),
    "series": Recorded(
        "828b0e6d49ea0a08823020db", "8ca47dc093abb0e85bdc4d8e", "5ccbcaf337cc7247eb524787", "64c07498c351e8b5a32c0562"
    ),
}


def study_of(data: DatasetSpec) -> Study:
    task = TaskSpec(name="kind", target="class", kind="classification")
    return Study(
        source=DataTask.model_validate({"data": data, "task": task}),
        target=DataTask.model_validate({"data": SPECS["digits"], "task": task}),
        method=SupervisedSpec(label="supervised"), encoder=EncoderSpec(label="small_cnn", name="small_cnn"),
        n_train=20, n_reserved=20, seed=0,
    )  # fmt: skip


@pytest.mark.parametrize("kind", SPECS)
def test_a_dataset_is_what_it_was(kind: str) -> None:
    assert SPECS[kind].identity() == RECORDED[kind].spec
    adapter: TypeAdapter[DatasetSpec] = TypeAdapter(AnyDataset)
    assert adapter.dump_json(SPECS[kind]).decode() == SPECS[kind].model_dump_json()


@pytest.mark.parametrize("kind", SPECS)
def test_a_study_and_its_pretraining_are_what_they_were(kind: str) -> None:
    study = study_of(SPECS[kind])
    pretraining = PretrainSpec.of(study)
    assert pretraining is not None
    assert (study.identity(), pretraining.identity()) == (RECORDED[kind].study, RECORDED[kind].pretraining)
    assert Study.model_validate_json(study.model_dump_json()) == study


def test_a_benchmark_and_its_plan_are_what_they_were(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(
        "name: b\n"
        "datasets:\n"
        "  low: {kind: digits, classes: ['0', '1'], per_class: 150}\n"
        "  high: {kind: digits, domain: textured, classes: ['0', '1']}\n"
        "tasks: {kind: {target: class, kind: classification}}\n"
        "transfers: [{source: {data: high, task: kind}, target: {data: low, task: kind}}]\n"
        "encoders: {small_cnn: {}}\nmethods: {scratch: {}, supervised: {}}\nsample_sizes: [20]\nseeds: [0]\n"
    )
    config = load(tmp_path / "b.yaml")
    plan = make_plan(config)
    assert config.identity() == "1da2def42c0b7b8fc4cfe5f6"
    assert [study.id for study in plan.studies] == [
        "mean-kind-n20-s0-d8a2223089",
        "linear-kind-n20-s0-731e93bb32",
        "gradient-boosting-kind-n20-s0-71abc42f7a",
        "nearest-kind-n20-s0-9e6a810ec1",
        "unchanged-kind-n20-s0-e6b8016f6c",
        "unchanged-linear-kind-n20-s0-4e09abd5e1",
        "scratch-kind-n20-s0-b02b99330a",
        "supervised-kind-n20-s0-028c542cb0",
    ]


@pytest.mark.parametrize("kind", SPECS)
def test_stored_images_are_found_under_the_name_they_had(kind: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    arrays = preprocess(EXAMPLES[kind](tmp_path / "data"), Workspace(tmp_path / "workspace"))
    assert arrays.fingerprint == RECORDED[kind].stored
