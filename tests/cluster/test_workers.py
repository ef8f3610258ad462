"""Workers as components call them: what is refused, what becomes a value, what several of them share."""

import json
import logging
import os
import shutil
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from clinic import CLINIC, write_clinic
from tiny_bench import TINY, Bench, search_of

from ctlr.cluster.artefacts import confusion_counts, describe, log_numbers, log_studies
from ctlr.cluster.reporting import report_benchmark
from ctlr.cluster.request import request_of
from ctlr.cluster.submission import Submission, packed, submission_name, submitted
from ctlr.cluster.workers import _logged, evaluate_benchmark, preprocess_datasets, work
from ctlr.config import load
from ctlr.errors import ConfigError, CtlrError, DataError, WorkspaceError
from ctlr.events import events_path, read_events
from ctlr.plan import make_plan
from ctlr.runs import Run, Runs, ranking
from ctlr.specs import PlatformSpec, StudyResult
from ctlr.ui.processes import stop
from ctlr.workspace import Workspace

PLATFORM = PlatformSpec(cpu="1", trials="local").model_dump_json()
RUN = "5b1f0c1e-8a52-4f56-9d3e-000000000001"


def sent(folder: Path, text: str) -> str:
    """A benchmark as it is submitted."""
    (folder / "bench.yaml").write_text(text)
    return str(request_of(load(folder / "bench.yaml")).arguments["benchmark"])


@pytest.fixture
def volume(own_bench: Bench) -> str:
    """A workspace that shares the stored images of the small benchmark."""
    return str(own_bench.workspace.root)


def planned(
    volume: str, benchmark: str, manifests: dict[str, str] | None = None, run: str = RUN, study: str = ""
) -> str:
    """A submission whose images are stored, and a run of it that may train."""
    name = submission_name(benchmark, manifests or {})
    facts = preprocess_datasets(volume, name, run, packed(benchmark, manifests or {}, PLATFORM, study))
    assert facts["status"] == "ok"
    return name


SHORT = TINY.replace("simclr: {}, vat: {}", "doomed: {method: scratch, finetune: {lr: 1.0e+30, clip: null}}")


def preprocessed(volume: str | Path, benchmark: str, run: str = RUN) -> dict[str, Any]:
    return preprocess_datasets(str(volume), "mine", run, packed(benchmark, {}, PLATFORM))


def test_a_benchmark_that_breaks_a_rule_is_refused(tmp_path: Path) -> None:
    broken = json.dumps(json.loads(sent(tmp_path, TINY)) | {"sample_sizes": []})
    with pytest.raises(ConfigError, match="sample_sizes"):
        preprocessed(tmp_path / "volume", broken)


def test_a_manifest_that_was_not_sent_is_named(tmp_path: Path) -> None:
    tuned = json.loads(sent(tmp_path, TINY))
    tuned["tuning"] = {"experiments": {name: ["rate.yaml"] for name in ("scratch", "supervised", "simclr", "vat")}}
    tuned["tuning"]["trials"] = 2
    with pytest.raises(ConfigError, match=r"names rate.yaml, and the submission holds no such manifest"):
        preprocessed(tmp_path / "volume", json.dumps(tuned))
    assert not (tmp_path / "volume" / "arrays").exists()  # before any image was read


def test_records_in_a_file_of_the_volume_are_refused_also_where_the_client_was_not_asked(
    volume: str, tmp_path: Path
) -> None:
    tracked = json.dumps(json.loads(sent(tmp_path, TINY)) | {"tracking": {"backend": "mlflow"}})
    with pytest.raises(ConfigError, match=r"tracking.uri"):
        planned(volume, tracked)


def test_the_same_benchmark_is_the_same_submission(volume: str, tmp_path: Path) -> None:
    first, again = (planned(volume, sent(tmp_path, TINY)) for _ in range(2))
    other = planned(volume, sent(tmp_path, TINY.replace("seeds: [0]", "seeds: [1]")))
    assert first == again != other


def test_a_name_that_another_benchmark_has_is_refused(volume: str, tmp_path: Path) -> None:
    benchmark = sent(tmp_path, TINY)
    preprocessed(volume, benchmark)
    other = sent(tmp_path, TINY.replace("seeds: [0]", "seeds: [1]"))
    with pytest.raises(ConfigError, match="The submission 'mine' in .* is another benchmark's"):
        preprocessed(volume, other, "the next")
    with pytest.raises(WorkspaceError, match="data of run 'the next' .* have not been checked"):
        work(volume, "mine", "the next", "train")


def test_unusable_data_are_refused_and_the_report_says_why(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    clinic = write_clinic(volume / "data" / "clinic")
    (clinic / "participants.tsv").unlink()
    benchmark = sent(tmp_path, CLINIC + "platform: {roots: {clinic: data/clinic}}\n")
    with pytest.raises(DataError, match=r"participants.tsv"):
        preprocessed(volume, benchmark)
    with pytest.raises(WorkspaceError, match="data of run .* have not been checked"):
        work(str(volume), "mine", RUN, "train")
    assert report_benchmark(str(volume), "mine", str(tmp_path / "page.html"))["studies"] == 0
    assert "participants.tsv" in (tmp_path / "page.html").read_text()


def test_the_report_says_which_leak_or_rule_the_data_broke(tmp_path: Path) -> None:
    volume, page = tmp_path / "volume", tmp_path / "page.html"
    write_clinic(volume / "data" / "clinic", people=6)  # too few for the split
    clinic = sent(tmp_path, CLINIC + "platform: {roots: {clinic: data/clinic}}\n")
    with pytest.raises(ConfigError) as refused:
        preprocessed(volume, clinic)
    assert report_benchmark(str(volume), "mine", str(page))["reason"] == refused.value.reason
    shutil.rmtree(volume / "data" / "clinic")
    write_clinic(volume / "data" / "clinic")
    assert preprocessed(volume, clinic)["status"] == "ok"
    assert report_benchmark(str(volume), "mine", str(page))["reason"] == "No study is finished."


def test_a_worker_whose_pod_mounts_another_volume_says_so(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="Mount the same volume in every step"):
        work(str(tmp_path / "other"), "tiny-0123456789", RUN, "train")


def test_what_a_task_leaves_is_its_own_users_to_write(volume: str, tmp_path: Path) -> None:
    """Argo's emissary sets the mask to 0."""
    before = os.umask(0)
    try:
        submission = planned(volume, sent(tmp_path, SHORT.replace("supervised: {finetune: {n_frozen: 1}}, ", "")))
        os.umask(0)
        work(volume, submission, RUN, "train")
        os.umask(0)
        assert report_benchmark(volume, submission, str(tmp_path / "page.html"))["studies"] == 6
    finally:
        os.umask(before)
    made = [path for name in ("submissions", "studies", "reports") for path in (Path(volume) / name).rglob("*")]
    assert len(made) > 30
    assert all(path.stat().st_mode & 0o022 == 0 for path in made)


def by_label(results: list[StudyResult]) -> dict[str, list[StudyResult]]:
    found: dict[str, list[StudyResult]] = {}
    for result in results:
        found.setdefault(result.study.method.label, []).append(result)
    return found


def test_a_log_holds_what_was_turned_away_before_it_began(
    volume: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Submission(Workspace(volume), planned(volume, sent(tmp_path, SHORT)))
    caplog.set_level(logging.WARNING, logger="ctlr")
    log = logging.getLogger("ctlr")
    log.info("nobody hears this, and the logger remembers that nobody does")
    with _logged(run, "train"):
        log.info("this is heard")
    (written,) = (run.folder / "logs").glob("train-*.log")
    assert written.read_text().endswith("this is heard\n")


def test_a_worker_goes_on_until_nothing_is_left_and_the_next_finds_nothing(volume: str, tmp_path: Path) -> None:
    submission = planned(volume, sent(tmp_path, SHORT))
    did = work(volume, submission, RUN, "train")
    assert (did["status"], did["pretrain_finished"], did["study_finished"], did["study_failed"]) == ("ok", 1, 6, 2)
    facts, results = evaluate_benchmark(volume, submission, RUN)
    assert (facts["studies"], facts["failed"]) == (8, 2)
    # What has failed in this run is not tried again by it, although a stage comes after that does what is left.
    assert not any(name.startswith(("study", "pretrain")) for name in facts if name != "studies")
    assert {result.status for result in by_label(results)["doomed"]} == {"failed"}
    logs = "".join(
        path.read_text() for path in (Path(volume) / "submissions" / submission / "logs").glob("train-*.log")
    )
    assert logs.count(" finished") == 7
    # The next run of the same submission tries it again.
    assert planned(volume, sent(tmp_path, SHORT), run="the next") == submission
    again = work(volume, submission, "the next", "train")
    assert (again.get("study_finished"), again["study_failed"]) == (None, 2)


def test_workers_share_what_is_to_do(volume: str, tmp_path: Path) -> None:
    submission = planned(volume, sent(tmp_path, TINY.replace("simclr: {}, vat: {}", "vat: {}")))
    did: list[dict[str, Any]] = []

    def worker() -> None:
        did.append(work(volume, submission, RUN, "train"))

    threads = [threading.Thread(target=worker) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each["status"] for each in did] == ["ok", "ok"]
    assert sum(each.get("pretrain_finished", 0) for each in did) == 1
    assert sum(each.get("study_finished", 0) for each in did) == 8
    assert not list((Path(volume) / "claims").iterdir())
    told = [(event["kind"], event["step"]) for event in events_of(volume) if event["kind"] == "step.finished"]
    assert len(told) == len(set(told)) == 10  # the dataset, a pretraining, eight studies: by whoever did them


def events_of(volume: str) -> list[dict[str, Any]]:
    return list(read_events(events_path(Path(volume), "tiny")))


def test_the_app_shows_a_run_from_its_first_image_to_its_report(volume: str, tmp_path: Path) -> None:
    submission = planned(volume, sent(tmp_path, SHORT))
    run = Runs(Path(volume)).read("tiny")
    assert (run.life(Path(volume)), run.submission, run.began["run"]) == ("running", submission, RUN)
    work(volume, submission, RUN, "train")
    run = Runs(Path(volume)).read("tiny")
    assert run.life(Path(volume)) == "running"  # between two pods
    (metric,) = ranking(run)
    assert [row.what for row in ranking(run)[metric]] == ["study of cohort.age"] * 6
    assert {step.facts["method"] for step in run.failed} == {"doomed"}
    assert all(step.text for step in run.failed)
    report_benchmark(volume, submission, str(tmp_path / "page.html"))
    events = events_of(volume)
    assert [event["n"] for event in events] == list(range(1, len(events) + 1))
    run = Runs(Path(volume)).read("tiny")
    assert (run.life(Path(volume)), run.running) == ("finished", [])
    assert run.seconds > 0
    quiet = Run("tiny", began=run.began, time=time.time() - 90_000)
    assert quiet.life(Path(volume)) == "killed"


def test_the_app_leaves_a_clusters_run_to_the_cluster(volume: str, tmp_path: Path) -> None:
    planned(volume, sent(tmp_path, SHORT))
    with pytest.raises(WorkspaceError, match=f"ctlr cancel {RUN}"):
        stop(Runs(Path(volume)).read("tiny"))


def test_a_single_study_is_run_alone(volume: str, tmp_path: Path) -> None:
    benchmark = sent(tmp_path, TINY)
    (study,) = [
        each
        for each in make_plan(load(tmp_path / "bench.yaml")).studies
        if each.method.label == "scratch" and each.n_train == 6
    ]
    submission = planned(volume, benchmark, study=study.id)
    assert work(volume, submission, RUN, "train")["study_finished"] == 1
    _, results = evaluate_benchmark(volume, submission, RUN)
    assert [result.study.id for result in results] == [study.id]
    with pytest.raises(ConfigError, match=f"Did you mean '{study.id}'"):
        planned(volume, benchmark, study=study.id[:-1])


def test_a_pod_that_is_taken_away_ends_well_and_its_step_is_free(volume: str, tmp_path: Path) -> None:
    submission = planned(volume, sent(tmp_path, TINY.replace("pretrain: {epochs: 2}", "pretrain: {epochs: 500}")))

    def take_away() -> None:
        while not list(Path(volume).glob("pretrained/*.partial/history.csv")) and not list(
            Path(volume).glob("pretrained/*.partial/checkpoint*")
        ):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=take_away)
    thread.start()
    did = work(volume, submission, RUN, "train")
    thread.join()
    assert did["status"] == "taken away"
    assert not list((Path(volume) / "claims").iterdir())
    assert not list((Path(volume) / "failed").glob("*")) if (Path(volume) / "failed").exists() else True
    assert list(Path(volume).glob("pretrained/*.partial/checkpoint*"))


def test_the_report_of_a_run_that_came_to_nothing_says_why(volume: str, tmp_path: Path) -> None:
    page, benchmark = tmp_path / "page.html", sent(tmp_path, TINY)
    assert report_benchmark(volume, "mine", str(page))["studies"] == 0
    assert "holds no submission mine" in page.read_text()
    submitted("mine", benchmark, {}, Workspace(volume))
    assert report_benchmark(volume, "mine", str(page))["studies"] == 0
    assert "Dataset &#x27;cohort&#x27; is not stored" in page.read_text()


def test_the_report_of_a_benchmark_that_was_refused_says_why(tmp_path: Path) -> None:
    broken = json.dumps(json.loads(sent(tmp_path, TINY)) | {"sample_sizes": []})
    with pytest.raises(ConfigError):
        preprocessed(tmp_path / "volume", broken)
    report_benchmark(str(tmp_path / "volume"), "mine", str(tmp_path / "page.html"))
    assert "sample_sizes" in (tmp_path / "page.html").read_text()


def test_a_tuned_benchmark_is_not_trained_before_its_searches_have_ended(volume: str, tmp_path: Path) -> None:
    (tmp_path / "rate.yaml").write_text(search_of("lr"))
    text = TINY.replace("supervised: {finetune: {n_frozen: 1}}, simclr: {}, vat: {}", "")
    (tmp_path / "tuned.yaml").write_text(text + "tuning: {experiments: {scratch: rate.yaml}, trials: 2}\n")
    request = request_of(load(tmp_path / "tuned.yaml")).arguments
    submission = planned(volume, request["benchmark"], request["manifests"])
    facts = work(volume, submission, RUN, "train")
    assert facts["status"] == "failed"  # a value: no retry mends it
    with pytest.raises(CtlrError, match="Searches of tiny-.* have not ended"):
        evaluate_benchmark(volume, submission, RUN)


def test_facts_are_metadata_and_a_file(tmp_path: Path) -> None:
    artefact = SimpleNamespace(path=str(tmp_path / "model"), metadata={})
    describe(artefact, {"fingerprint": "ab", "seconds": 1.5, "reason": "the loss became nan"})
    assert artefact.metadata == json.loads((tmp_path / "model").read_text())
    assert artefact.metadata["reason"] == "the loss became nan"


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


def test_studies_are_one_table_and_their_means_one_text(tmp_path: Path) -> None:
    config = load(write_sexes(tmp_path))
    results = []
    for number, study in enumerate(make_plan(config).studies):
        folder = tmp_path / "studies" / str(number)
        folder.mkdir(parents=True)
        rows = ["a,test,f,f,.9,.1", "b,test,m,f,.6,.4", "e,train,m,f,.9,.1"]
        (folder / "predictions.csv").write_text("\n".join(["subject,split,y_true,y_pred,p_f,p_m", *rows]) + "\n")
        results.append(
            StudyResult(study=study, scores={"test": {"accuracy": 0.5 + number / 10}}, path=f"studies/{number}")
        )
    results.append(results[0].model_copy(update={"status": "failed", "reason": "the loss became nan", "scores": {}}))
    table = SimpleNamespace(path=str(tmp_path / "table"), metadata={})
    text = SimpleNamespace(path=str(tmp_path / "text"), metadata={})
    log_studies(table, text, results, str(tmp_path))
    lines = (tmp_path / "table").read_text().splitlines()
    assert len(lines) == 1 + len(results)
    assert lines[0].startswith("study,method,data,source,target,encoder,n_train,n_validation,seed,status,reason")
    assert "the loss became nan" in lines[-1]
    assert table.metadata == {"studies": len(results), "failed": 1, "workspace": str(tmp_path)}
    said = (tmp_path / "text").read_text()
    assert "| scratch | 6 | accuracy | 0.75 | 2 |" in said  # seeds 0 and 1: 0.7 and 0.8
    assert "scratch, n = 6: true classes in rows" in said
    assert "| f | 2 | 0 |\n| m | 2 | 0 |" in said  # both seeds


def write_sexes(folder: Path) -> Path:
    """A benchmark of a classification with two seeds."""
    text = TINY.replace(
        "methods: {scratch: {}, supervised: {finetune: {n_frozen: 1}}, simclr: {}, vat: {}}", "methods: {scratch: {}}"
    )
    text = text.replace("target: {data: cohort, task: age}", "target: {data: cohort, task: sex}")
    text = text.replace("task: sex}, target", "task: age}, target").replace("seeds: [0]", "seeds: [0, 1]")
    path = folder / "sexes.yaml"
    path.write_text(text.replace("sample_sizes: [6, 10]", "sample_sizes: [6]"))
    return path
