"""The shipped study of gradual learning rates: what it plans, and what it says where its files are missing."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from published import write_cifar10, write_emnist

from ctlr.config import BenchmarkConfig, load
from ctlr.errors import ConfigError
from ctlr.methods.supervised import SupervisedSpec
from ctlr.plan import make_plan

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Path(shutil.copy(BENCHMARKS / "gradual-lr.yaml", tmp_path))


@pytest.fixture
def config(file: Path) -> BenchmarkConfig:
    write_cifar10(file.parent / "data")
    write_emnist(file.parent / "data", "zip")
    return load(file)


def test_missing_files_are_named_with_their_place_and_address(file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file)
    letters, photos, *_ = str(caught.value).splitlines()
    data = file.parent / "data"
    assert letters.startswith(f"{file}:28: datasets.letters-1.root: 'emnist-balanced' needs EMNIST/raw/gzip.zip or all")
    assert (
        "fetch https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip (md5 58c8d27c78d21e728a6bc7b3cc06412e)" in letters
    )
    assert letters.endswith(f"and put it, as it is, into {data}/EMNIST/raw.")
    assert photos.startswith(f"{file}:34: datasets.photos-1.root: 'cifar10' needs cifar-10-batches-py/data_batch_1, ")
    assert photos.endswith(f"and unpack it: tar -xzf cifar-10-python.tar.gz -C {data}.")


def test_every_pair_has_its_two_rates_with_five_ratios_and_three_seeds(config: BenchmarkConfig) -> None:
    rates = Counter(
        (study.source.data.name, study.target.data.name, study.method.finetune.lr)
        for study in make_plan(config).studies
        if study.source is not None
    )
    assert rates == dict.fromkeys(
        [
            ("photos-1", "photos-2", 5e-5), ("photos-1", "photos-2", 2e-5),
            ("photos-1", "letters-2", 1e-3), ("photos-1", "letters-2", 1e-4),
            ("letters-1", "photos-2", 1e-2), ("letters-1", "photos-2", 5e-3),
            ("letters-1", "letters-2", 5e-3), ("letters-1", "letters-2", 1e-3),
        ],
        5 * 3,
    )  # fmt: skip
    ratios = {method.finetune.w for method in config.methods.values() if isinstance(method, SupervisedSpec)}
    assert ratios == {0.25, 0.3, 0.5, 0.7, 1.0}


def test_the_plan_counts_what_its_opening_says(config: BenchmarkConfig) -> None:
    plan = make_plan(config)
    assert (len(plan.studies), len(plan.pretrainings)) == (150, 12)
    assert {data.name: data.known_subjects for data in config.datasets.values()} == {
        "letters-1": 11200, "photos-1": 12000, "letters-2": 7400, "photos-2": 7400,
    }  # fmt: skip


def test_the_study_runs_on_small_files_in_the_official_formats(config: BenchmarkConfig) -> None:
    """Preprocessing and splits; training a ResNet-34 is for a GPU."""
    from ctlr.data.development import open_development
    from ctlr.data.leakage import find_leaks
    from ctlr.data.placing import PlacedRows
    from ctlr.data.preprocess import preprocess
    from ctlr.workspace import Workspace

    study = make_plan(config).studies[-1]
    assert study.source is not None
    root = Path(config.datasets["photos-1"].root).parent
    workspace = Workspace(root / "workspace")
    arrays = {end.data.name: preprocess(end.data, workspace) for end in (study.source, study.target)}
    assert {stored.shape for stored in arrays.values()} == {(3, 224, 224)}
    split = study.split.model_copy(update={"test": 4.0})
    target = open_development(
        study.target, arrays[study.target.data.name], workspace, split=split, n_train=4, n_reserved=4, seed=0
    )
    source = open_development(
        study.source, arrays[study.source.data.name], workspace, split=split, n_train=4, n_reserved=4, seed=0
    )
    assert target.targets.classes == tuple(sorted(study.target.data.classes))
    parts = PlacedRows("target", target.store.table, target.split), PlacedRows("source", source.store.table, None)
    sides = [rows[row] for rows in parts for row in range(len(rows.table))]
    people = {"target": "emnist", "source": "cifar"}
    assert not find_leaks(filter(None, sides), people=people, groups=people)
