"""Families as studies: a trial is judged on validation subjects, and the final study leaves a model to be used."""

import csv
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file
from tiny_bench import Bench

from ctlr import shallow
from ctlr.config import load
from ctlr.data.store import ArrayStore
from ctlr.data.targets import read_targets
from ctlr.encoders import build_encoder
from ctlr.engine import start_worker
from ctlr.errors import ConfigError, TrainingError
from ctlr.plan import make_plan
from ctlr.shallow.model import SavedFamily
from ctlr.specs import Study, encoder_spec
from ctlr.steps.evaluate import evaluate
from ctlr.steps.keys import study_key
from ctlr.steps.trial import run_trial
from ctlr.training.checkpoint import load_model
from ctlr.training.frozen import Frozen
from ctlr.tuning.request import TrialJob, TrialRequest, TrialResult, requested_job

METHODS = "methods={scratch: {}, svm: {features: {kind: regions}}, forest: {trees: 10, features: {kind: regions}}}"


@pytest.fixture
def families(own_bench: Bench) -> Bench:
    config = load(own_bench.file, [METHODS])
    return Bench(own_bench.file, config, make_plan(config), own_bench.workspace, own_bench.arrays)


def tried(bench: Bench, study: Study, **options: Any) -> tuple[TrialResult, list[dict[str, float]]]:
    told: list[dict[str, float]] = []
    job = TrialJob(study=study, **options)
    return run_trial(job, bench.arrays, bench.workspace, report=lambda row: told.append(dict(row))), told


def test_a_trial_reports_its_scores_once_and_has_no_epochs(families: Bench) -> None:
    result, told = tried(families, families.study("svm", 10), assignments={"slack": "3", "features.components": "5"})
    assert told == [result.scores]
    assert set(result.scores) >= {"val_mae", "val_rmse"}
    assert (result.metric, result.value) == ("val_mae", result.scores["val_mae"])
    assert (result.epochs, result.best_epoch, set(result.seconds)) == (0, 0, {"fit"})
    assert result.study.method.model_dump()["slack"] == 3
    assert tried(families, families.study("svm", 10), assignments={"slack": "3", "features.components": "5"})[1] == told


def test_folds_and_repeats_are_averaged(families: Bench) -> None:
    study = families.study("forest", 10)
    result, told = tried(families, study, validation="kfold:5")
    assert [row["folds"] for row in told] == [1, 2, 3, 4, 5]
    assert told[-1]["val_mae"] == result.value
    whole, _ = tried(families, study, validation="repeats:2")
    each = [tried(families, study.model_copy(update={"seed": seed}))[0].value for seed in (0, 1)]
    assert whole.value == pytest.approx(np.mean(each))


def test_folds_share_what_was_computed_of_the_images(families: Bench) -> None:
    tried(families, families.study("svm", 10), validation="kfold:4")
    tried(families, families.study("forest", 10), assignments={"leaf": "2"})
    assert len(list((families.workspace.root / "features").iterdir())) == 1


def test_a_trial_learns_from_training_subjects_alone(families: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    real = shallow.fit

    def fit(spec: Any, sample: Any) -> Any:
        seen.append(sample)
        return real(spec, sample)

    monkeypatch.setattr(shallow, "fit", fit)
    tried(families, families.study("svm", 10))
    (sample,) = seen
    assert (len(sample.rows), len(sample.validation.rows)) == (10, 10)
    assert not {*sample.rows.tolist(), *sample.validation.rows.tolist()} & sample.store.sealed
    assert len(sample.store.sealed) == 12


def test_a_forest_that_says_the_same_for_all_fails_alone(families: Bench) -> None:
    with pytest.raises(TrainingError, match="the predictions are constant; set other options: smaller leaves"):
        tried(families, families.study("forest", 10), assignments={"leaf": "10"})


def test_options_that_do_not_fit_the_images_are_refused(families: Bench) -> None:
    request = TrialRequest(benchmark="b", study="svm", n_train=10, assignments={"features.kind": "hog"})
    with pytest.raises(ConfigError, match=r"`features.kind`: hog is not computed of volumes"):
        requested_job(request, families.config)
    with pytest.raises(ConfigError, match=r"`features.kind=voxels`: must be 'pixels', 'regions'"):
        requested_job(request.model_copy(update={"assignments": {"features.kind": "voxels"}}), families.config)
    with pytest.raises(ConfigError, match=r"`lr`: svm has no such option"):
        requested_job(request.model_copy(update={"assignments": {"lr": "1"}}), families.config)
    with pytest.raises(ConfigError, match="svm does not pretrain"):
        requested_job(request.model_copy(update={"assignments": {}, "stage": "joint"}), families.config)


@pytest.mark.parametrize("label", ["svm", "forest"])
def test_a_final_study_leaves_scores_predictions_and_a_model_of_the_same_digits(label: str, families: Bench) -> None:
    study = families.study(label, 10)
    result = evaluate(study, families.arrays, families.workspace)
    assert set(result.scores) == {"train", "validation", "test"}
    assert result.scores["validation"]["mae"] == tried(families, study)[0].value
    assert set(result.seconds) == {"preprocess", "fit", "evaluate"}
    assert (result.epochs, result.parameters, result.pretraining) == (0, 0, "")
    folder = families.workspace.root / result.path
    model = load_model(folder)
    assert isinstance(model, SavedFamily)
    card = model.card
    assert (card.encoder, card.shape, card.target, card.task) == (None, (1, 32, 32, 32), "age", "regression")
    assert card.method == study.method.model_copy(update={"label": ""})
    assert card.preparation is not None
    store = ArrayStore(families.arrays["cohort"], families.workspace)
    subjects = {families.workspace.pseudonym(record.subject): row for row, record in enumerate(store.table)}
    with (folder / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    assert len(rows) == 12
    said = model.predict(store.read([subjects[row["subject"]] for row in rows]))
    assert [f"{value:.6g}" for value in said] == [row["y_pred"] for row in rows]
    targets = read_targets(store.table, study.target.task, "cohort")
    assert np.abs(said - [targets.values[subjects[r["subject"]]] for r in rows]).mean() == pytest.approx(
        result.scores["test"]["mae"]
    )


def test_a_worker_does_a_familys_study_in_one_step(families: Bench, tmp_path: Path) -> None:
    study = families.study("forest", 6)
    arrays = {name: stored.model_dump_json() for name, stored in families.arrays.items()}
    perform = start_worker(0, str(families.workspace.root), arrays, "cpu")
    perform("study", study.model_dump_json(), lambda *_: None)
    assert families.workspace.has("studies", study_key(study, families.arrays))
    assert not (families.workspace.root / "finetuned").exists()


@pytest.fixture
def frozen(own_bench: Bench, tmp_path: Path) -> Bench:
    """A family on features of a network whose weights lie in a file."""
    encoder = build_encoder(encoder_spec("small_cnn"), channels=1, ndim=3, seed=7)
    save_file(encoder.state_dict(), tmp_path / "mine.safetensors")
    sha = hashlib.sha256((tmp_path / "mine.safetensors").read_bytes()).hexdigest()
    told = f"network: {tmp_path}/mine.safetensors, sha256: {sha}, licence: CC0-1.0, trained_on: [elsewhere]"
    config = load(own_bench.file, [f"methods={{scratch: {{}}, svm: {{{told}, features: {{kind: network}}}}}}"])
    return Bench(own_bench.file, config, make_plan(config), own_bench.workspace, own_bench.arrays)


def test_features_of_a_frozen_network_are_learned_from_and_saved(frozen: Bench, tmp_path: Path) -> None:
    study = frozen.study("svm", 10)
    result = evaluate(study, frozen.arrays, frozen.workspace)
    assert result.scores["validation"]["mae"] == tried(frozen, study)[0].value
    (tmp_path / "mine.safetensors").unlink()  # the model has the network
    folder = frozen.workspace.root / result.path
    assert str(tmp_path) not in (folder / "model.json").read_text()
    model = load_model(folder)
    assert model.card.encoder is not None
    assert model.card.encoder.name == "small_cnn"
    store = ArrayStore(frozen.arrays["cohort"], frozen.workspace)
    subjects = {frozen.workspace.pseudonym(record.subject): row for row, record in enumerate(store.table)}
    with (folder / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    said = model.predict(store.read([subjects[row["subject"]] for row in rows]))
    assert [f"{value:.6g}" for value in said] == [row["y_pred"] for row in rows]


def test_a_frozen_network_says_the_same_of_an_image_in_any_company(frozen: Bench) -> None:
    embedding = Frozen.of(frozen.study("svm", 10))
    images = ArrayStore(frozen.arrays["cohort"], frozen.workspace).read(np.arange(11))
    together = embedding(images)
    assert together.shape == (11, 32)
    assert np.array_equal(together, np.concatenate([embedding(image[None]) for image in images]))


def test_a_network_that_has_changed_is_refused(frozen: Bench, tmp_path: Path) -> None:
    with (tmp_path / "mine.safetensors").open("ab") as file:
        file.write(b" ")
    with pytest.raises(ConfigError, match=r"`methods.svm.network` must be the file with the sha256"):
        tried(frozen, frozen.study("svm", 10))


def test_features_of_a_network_need_one(own_bench: Bench) -> None:
    with pytest.raises(ConfigError, match=r"`features: {kind: network}` needs the file of its weights"):
        load(own_bench.file, ["methods={scratch: {}, svm: {features: {kind: network}}}"])
    with pytest.raises(ConfigError, match="say their licence, trained_on too"):
        load(own_bench.file, [f"methods={{scratch: {{}}, svm: {{network: tiny.yaml, sha256: {64 * 'a'}}}}}"])


def test_a_search_tries_a_network_where_there_is_one(frozen: Bench, families: Bench) -> None:
    there, none = (bench.study("svm").method.space(3)["features.kind"] for bench in (frozen, families))
    assert set(there.values) - set(none.values) == {"network"}  # type: ignore[union-attr]
