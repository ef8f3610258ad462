"""Steps as components call them: what is refused, what becomes a value, what another run leaves alone."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clinic import CLINIC, write_clinic
from tiny_bench import TINY, Bench, search_of

from ctlr.cluster.artefacts import confusion_counts, describe, log_numbers, tabulate
from ctlr.cluster.reporting import report_benchmark
from ctlr.cluster.request import request_of
from ctlr.cluster.steps import evaluate_study, finetune_study, plan_benchmark, preprocess_dataset, schedule_training
from ctlr.config import load
from ctlr.errors import ConfigError, DataError, WorkspaceError
from ctlr.workspace import Workspace


def sent(folder: Path, text: str) -> str:
    """A benchmark as it is submitted."""
    (folder / "bench.yaml").write_text(text)
    return str(request_of(load(folder / "bench.yaml")).arguments["benchmark"])


@pytest.fixture
def volume(own_bench: Bench) -> str:
    """A workspace that shares the stored images of the small benchmark."""
    return str(own_bench.workspace.root)


@pytest.fixture
def stored(volume: str, tmp_path: Path) -> str:
    """A submission whose images are stored."""
    submission, _ = plan_benchmark(volume, sent(tmp_path, TINY), {})
    preprocess_dataset(volume, submission, "cohort", workers=1)
    return submission


def test_a_benchmark_that_breaks_a_rule_is_refused_by_the_first_task(tmp_path: Path) -> None:
    broken = json.loads(sent(tmp_path, TINY)) | {"sample_sizes": []}
    with pytest.raises(ConfigError, match="sample_sizes"):
        plan_benchmark(str(tmp_path / "volume"), json.dumps(broken), {})


def test_a_manifest_that_was_not_sent_is_named(tmp_path: Path) -> None:
    tuned = json.loads(sent(tmp_path, TINY))
    tuned["tuning"] = {"experiments": {name: ["rate.yaml"] for name in ("scratch", "supervised", "simclr", "vat")}}
    tuned["tuning"]["trials"] = 2
    with pytest.raises(ConfigError, match=r"names rate.yaml, and the submission holds no such manifest"):
        plan_benchmark(str(tmp_path / "volume"), json.dumps(tuned), {})


def test_records_in_a_file_of_the_volume_are_refused_also_where_the_client_was_not_asked(tmp_path: Path) -> None:
    tracked = json.loads(sent(tmp_path, TINY)) | {"tracking": {"backend": "mlflow"}}
    with pytest.raises(ConfigError, match=r"tracking.uri"):
        plan_benchmark(str(tmp_path / "volume"), json.dumps(tracked), {})


def test_the_same_benchmark_is_the_same_submission(tmp_path: Path) -> None:
    first, _ = plan_benchmark(str(tmp_path / "volume"), sent(tmp_path, TINY), {})
    again, names = plan_benchmark(str(tmp_path / "volume"), sent(tmp_path, TINY), {})
    other, _ = plan_benchmark(str(tmp_path / "volume"), sent(tmp_path, TINY.replace("seeds: [0]", "seeds: [1]")), {})
    assert first == again != other
    assert names == {"datasets": ["cohort"], "searches": [], "pretrainings": []}


def test_a_step_whose_pod_mounts_another_volume_says_so(tmp_path: Path) -> None:
    submission, _ = plan_benchmark(str(tmp_path / "volume"), sent(tmp_path, TINY), {})
    with pytest.raises(WorkspaceError, match="Mount the same volume in every step"):
        preprocess_dataset(str(tmp_path / "other"), submission, "cohort", workers=1)


def test_unusable_data_are_a_value_until_a_task_without_retries_raises_them(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    clinic = write_clinic(volume / "data" / "clinic")
    (clinic / "participants.tsv").unlink()
    text = CLINIC + "platform: {roots: {clinic: data/clinic}}\n"
    submission, _ = plan_benchmark(str(volume), sent(tmp_path, text), {})
    facts = preprocess_dataset(str(volume), submission, "clinic", workers=1)
    assert facts["status"] == "failed"
    with pytest.raises(DataError, match=r"participants.tsv"):
        schedule_training(str(volume), submission)


def test_what_is_left_is_named_by_method_size_and_seed(volume: str, stored: str) -> None:
    left = schedule_training(volume, stored)
    assert {name.rpartition("-")[0] for name in left["studies"]} == {
        f"{label}-age-n{size}-s0" for label in ("scratch", "supervised", "simclr", "vat") for size in (6, 10)
    }
    assert {name.rpartition("-")[0] for name in left["floors"]} == {"mean-age-n6-s0", "mean-age-n10-s0"}
    assert {name.rpartition("-")[0] for name in left["pretrainings"]} == {
        "supervised-small_cnn-s0", "simclr-small_cnn-s0"
    }  # fmt: skip


def test_another_run_of_the_same_submission_keeps_the_list_of_the_first(volume: str, stored: str) -> None:
    left = schedule_training(volume, stored)
    root = Workspace(volume).root
    key = next(path for path in (root / "submissions" / stored / "work").glob("*.json"))
    before = json.loads(key.read_text())
    from ctlr.plan import make_plan

    config = load(root.parent / "bench.yaml")
    (study,) = [s for s in make_plan(config).studies if s.method.label == "mean" and s.n_train == 6]
    schedule_training(volume, stored, study=study.id)
    assert json.loads(key.read_text()) == before
    assert len(left["floors"]) == 2


def test_a_baseline_is_evaluated_alone_and_one_that_lacks_its_pretraining_fails_as_a_value(
    volume: str, tmp_path: Path
) -> None:
    text = TINY.replace("baselines: []", "baselines: [nearest, unchanged]").replace(
        "sample_sizes: [6, 10]", "sample_sizes: [6]"
    )
    other = "other: {kind: cohort, subjects: 24, seed: 4, spacing: 6, preprocess: {spacing: 6, shape: [32, 32, 32]}}"
    text = text.replace("tasks:\n", f"  {other}\ntasks:\n").replace(
        "{data: cohort, task: sex}, target", "{data: other, task: age}, target"
    )
    submission, _ = plan_benchmark(volume, sent(tmp_path, text), {})
    for name in ("cohort", "other"):
        preprocess_dataset(volume, submission, name, workers=1)
    left = schedule_training(volume, submission)
    names = {name.partition("-age")[0]: name for name in left["floors"]}
    assert names.keys() == {"mean", "nearest", "unchanged"}
    assert evaluate_study(volume, submission, names["nearest"], device="cpu").status == "ok"
    result = evaluate_study(volume, submission, names["unchanged"], device="cpu")
    assert (result.status, result.reason) == ("failed", "pretrain failed: it was not run")


def test_a_study_whose_pretraining_is_missing_fails_as_a_value_and_is_not_evaluated(volume: str, stored: str) -> None:
    left = schedule_training(volume, stored)
    (name,) = [name for name in left["studies"] if name.startswith("supervised-age-n6")]
    facts = finetune_study(volume, stored, name, device="cpu")
    assert facts["status"] == "failed"
    result = evaluate_study(volume, stored, name, device="cpu")
    assert (result.status, result.reason) == ("failed", "pretrain failed: it was not run")


def test_a_name_that_is_not_listed_is_refused(volume: str, stored: str) -> None:
    schedule_training(volume, stored)
    with pytest.raises(WorkspaceError, match="lists no 'scratch-n7'"):
        finetune_study(volume, stored, "scratch-n7", device="cpu")


def test_the_report_of_a_run_that_came_to_nothing_says_why(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    facts = report_benchmark(str(tmp_path / "volume"), sent(tmp_path, TINY), {}, str(page))
    assert facts["studies"] == 0
    assert "Dataset &#x27;cohort&#x27; is not stored" in page.read_text()


def test_the_report_of_a_benchmark_that_was_refused_is_not_tried_again(tmp_path: Path) -> None:
    broken = json.loads(sent(tmp_path, TINY)) | {"sample_sizes": []}
    page = tmp_path / "page.html"
    report_benchmark(str(tmp_path / "volume"), json.dumps(broken), {}, str(page))
    assert "sample_sizes" in page.read_text()


def test_a_tuned_benchmark_is_not_trained_before_its_searches_have_ended(volume: str, tmp_path: Path) -> None:
    (tmp_path / "rate.yaml").write_text(search_of("lr"))
    text = TINY.replace("supervised: {finetune: {n_frozen: 1}}, simclr: {}, vat: {}", "")
    (tmp_path / "tuned.yaml").write_text(text + "tuning: {experiments: {scratch: rate.yaml}, trials: 2}\n")
    request = request_of(load(tmp_path / "tuned.yaml")).arguments
    submission, names = plan_benchmark(volume, request["benchmark"], request["manifests"])
    assert len(names["searches"]) == 2
    preprocess_dataset(volume, submission, "cohort", workers=1)
    with pytest.raises(ConfigError, match="Searches of tiny-.* are missing"):
        schedule_training(volume, submission)


def test_facts_are_metadata_and_a_file(tmp_path: Path) -> None:
    artefact = SimpleNamespace(path=str(tmp_path / "model"), metadata={})
    describe(artefact, {"fingerprint": "ab", "seconds": 1.5, "reason": "the loss became nan"})
    assert artefact.metadata == json.loads((tmp_path / "model").read_text())
    assert artefact.metadata["reason"] == "the loss became nan"
    tabulate(artefact, {"lr": "1e-3"})
    assert "| lr | 1e-3 |" in (tmp_path / "model").read_text()


def test_numbers_are_metrics_and_words_stand_beside_them() -> None:
    logged: dict[str, Any] = {}
    metrics = SimpleNamespace(metadata={}, log_metric=logged.__setitem__)
    log_numbers(metrics, {"test_mae": 3.5, "status": "ok", "shape": [1, 2]})
    assert (logged, metrics.metadata) == ({"test_mae": 3.5}, {"status": "ok"})


def test_a_confusion_matrix_counts_test_images_alone(tmp_path: Path) -> None:
    file = tmp_path / "predictions.csv"
    rows = ["a,test,f,f,.9,.1", "b,test,f,m,.4,.6", "c,test,m,m,.1,.9", "d,test,m,m,.2,.8", "e,train,m,f,.9,.1"]
    file.write_text("\n".join(["subject,split,y_true,y_pred,p_f,p_m", *rows]) + "\n")
    assert confusion_counts(file) == (["f", "m"], [[1, 1], [0, 2]])
