import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from clinic import CLINIC, PEOPLE, write_clinic

from ctlr.claims import time_there
from ctlr.config import load
from ctlr.engine import (
    check_device,
    collect,
    default_workers,
    gate,
    jobs_left,
    known_rates,
    note_rates,
    preprocess_all,
    run_jobs_left,
)
from ctlr.errors import ConfigError, DataError, LeakageError, WorkspaceError
from ctlr.plan import Plan, make_plan
from ctlr.pool import Event
from ctlr.specs import Checkpoint, PretrainSpec, StoredArrays, Study, StudyResult
from ctlr.steps.keys import pretrain_key, study_key
from ctlr.workspace import Workspace


@dataclass(frozen=True)
class Clinic:
    """A benchmark on a BIDS folder, its images stored."""

    file: Path
    plan: Plan
    workspace: Workspace
    arrays: dict[str, StoredArrays]

    def study(self, label: str, n_train: int = 4) -> Study:
        return next(s for s in self.plan.studies if s.method.label == label and s.n_train == n_train)

    def planned(self, *overrides: str) -> Plan:
        return make_plan(load(self.file, overrides))

    def finish(self, study: Study, mae: float) -> None:
        """Pretend that a study is finished."""
        key = study_key(study, self.arrays)
        with self.workspace.publish("studies", key) as folder:
            result = StudyResult(study=study, scores={"test": {"mae": mae}}, path=f"studies/{key}")
            (folder / "result.json").write_text(result.model_dump_json())


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    write_clinic(tmp_path / "clinic")
    (tmp_path / "clinic.yaml").write_text(CLINIC)
    plan = make_plan(load(tmp_path / "clinic.yaml"))
    workspace = Workspace(tmp_path / "workspace")
    arrays = preprocess_all(plan.datasets, workspace, workers=2, on_event=lambda event: None)
    return Clinic(tmp_path / "clinic.yaml", plan, workspace, arrays)


# ---------------------------------------------------------------- before anything trains


def test_a_cpu_has_a_worker_for_every_so_many_threads() -> None:
    cores = len(os.sched_getaffinity(0))
    assert default_workers("cpu", 1) == cores
    assert default_workers("cpu", cores) == 1
    assert default_workers("cpu", 10 * cores) == 1
    assert default_workers("cuda:0", 1) == 1


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:one", "CPU", ""])
def test_a_device_has_one_of_three_forms(device: str) -> None:
    with pytest.raises(ConfigError, match="`--device` must be cpu, cuda or cuda:N"):
        check_device(device)


def test_the_cpu_is_always_there_and_a_64th_gpu_is_not() -> None:
    check_device("cpu")
    with pytest.raises(ConfigError, match=r"`--device cuda:63`: PyTorch finds \d+ GPUs here. Use `--device cpu`"):
        check_device("cuda:63")


def test_preprocessing_tells_how_far_it_is_and_what_it_gave(clinic: Clinic, tmp_path: Path) -> None:
    events: list[Event] = []
    preprocess_all(clinic.plan.datasets, Workspace(tmp_path / "other"), workers=1, on_event=events.append)
    assert [event.state for event in events] == ["started", *["progress"] * PEOPLE, "finished"]
    assert (events[PEOPLE].done, events[PEOPLE].total) == (PEOPLE, PEOPLE)
    assert events[-1].text == "30 images"


def test_images_left_out_are_counted_and_not_named(clinic: Clinic) -> None:
    (clinic.file.parent / "clinic" / "sub-XYZZY03" / "anat" / "sub-XYZZY03_T1w.nii.gz").write_bytes(b"")
    plan = clinic.planned("datasets.clinic.preprocess.on_bad_subject=exclude")
    events: list[Event] = []
    arrays = preprocess_all(plan.datasets, clinic.workspace, workers=1, on_event=events.append)
    assert events[-1].text == f"29 images, 1 left out (named in {arrays['clinic'].path}/stored.json)"


def test_images_that_another_machine_stored_while_this_one_was_frozen_are_used(clinic: Clinic, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "other")
    program = f"""
from pathlib import Path
from ctlr.config import load
from ctlr.engine import preprocess_all
from ctlr.plan import make_plan
from ctlr.workspace import Workspace
plan, workspace = make_plan(load(Path({str(clinic.file)!r}))), Workspace({str(workspace.root)!r})
preprocess_all(plan.datasets, workspace, workers=1, on_event=lambda event: None)
"""
    events: list[Event] = []

    def freeze(event: Event) -> None:
        events.append(event)
        if [other.state for other in events].count("progress") == 1:
            for claim in (workspace.root / "claims").iterdir():
                claim.unlink()
            subprocess.run([sys.executable, "-c", program], check=True)
            events.append(event)  # once only

    arrays = preprocess_all(clinic.plan.datasets, workspace, workers=1, on_event=freeze)
    assert {name: stored.fingerprint for name, stored in arrays.items()} == {
        name: stored.fingerprint for name, stored in clinic.arrays.items()
    }
    assert [path for path in (workspace.root / "arrays").iterdir() if path.name.endswith(".partial")] == []
    assert events[-1].state == "finished"


def test_the_gate_lets_a_sound_benchmark_through(clinic: Clinic) -> None:
    gate(clinic.plan, clinic.arrays, clinic.workspace)


def test_the_gate_names_the_largest_size_that_does_not_fit(clinic: Clinic) -> None:
    with pytest.raises(ConfigError, match="n_train=60 "):
        gate(clinic.planned("sample_sizes=[4,40,60]"), clinic.arrays, clinic.workspace)


def test_the_gate_looks_at_the_sources_target_too(clinic: Clinic) -> None:
    with pytest.raises(DataError, match="Target 'scan_date' of dataset 'clinic' must be a number"):
        gate(clinic.planned("tasks.sex={target: scan_date, kind: regression}"), clinic.arrays, clinic.workspace)


def test_the_gate_finds_one_image_under_two_names(clinic: Clinic) -> None:
    root = clinic.file.parent / "clinic"
    images = sorted(root.glob("*/anat/*.nii.gz"))
    for image in images[1:]:
        image.write_bytes(images[0].read_bytes())
    arrays = preprocess_all(clinic.plan.datasets, clinic.workspace, workers=2, on_event=lambda event: None)
    with pytest.raises(LeakageError, match=r"stand on two sides(?s:.*)clinic \w{12} \(test\): the same image"):
        gate(clinic.plan, arrays, clinic.workspace)


# ---------------------------------------------------------------- what is left to do


def test_everything_is_left_to_do_at_first_and_the_pretraining_comes_first(clinic: Clinic) -> None:
    jobs = jobs_left(clinic.plan, clinic.arrays, clinic.workspace)
    assert sorted(job.kind for job in jobs) == ["pretrain"] + ["study"] * 6
    first = max(jobs, key=lambda job: job.cost)
    assert first.kind == "pretrain"
    needs = {Study.model_validate_json(job.payload).method.label: job.needs for job in jobs if job.kind == "study"}
    assert needs == {"mean": (), "scratch": (), "supervised": (first.id,)}


def test_what_is_finished_is_not_left(clinic: Clinic) -> None:
    clinic.finish(clinic.study("scratch"), mae=5)
    spec = PretrainSpec.of(clinic.study("supervised"))
    assert spec is not None
    with clinic.workspace.publish("pretrained", pretrain_key(spec, clinic.arrays)) as folder:
        (folder / "result.json").write_text("{}")
    jobs = jobs_left(clinic.plan, clinic.arrays, clinic.workspace)
    assert {job.kind for job in jobs} == {"study"}
    assert len(jobs) == 5


# ---------------------------------------------------------------- results


def test_results_come_in_the_order_of_the_plan_and_what_has_not_run_is_left_out(clinic: Clinic) -> None:
    clinic.finish(clinic.study("supervised", 6), mae=4)
    clinic.finish(clinic.study("scratch"), mae=5)
    found = collect(clinic.plan, clinic.arrays, clinic.workspace)
    assert [(result.study.method.label, result.scores["test"]["mae"]) for result in found] == [
        ("scratch", 5), ("supervised", 4),
    ]  # fmt: skip


def test_a_result_bears_the_label_of_the_benchmark_that_asks(clinic: Clinic) -> None:
    clinic.finish(clinic.study("scratch"), mae=5)
    renamed = clinic.planned("encoders={mine: {name: small_cnn}}")
    (result,) = collect(renamed, clinic.arrays, clinic.workspace)
    assert result.study.encoder.label == "mine"


@pytest.fixture
def broken(clinic: Clinic) -> Clinic:
    """A clinic whose scratch studies explode."""
    plan = clinic.planned(
        "methods.supervised.finetune.epochs=1", "sample_sizes=[4]", "training.pretrain.epochs=1",
        "methods.exploding={method: scratch, finetune: {lr: 1.0e+20, clip: null}}",
    )  # fmt: skip
    return Clinic(clinic.file, plan, clinic.workspace, clinic.arrays)


def run(clinic: Clinic) -> list[Event]:
    events: list[Event] = []
    jobs = jobs_left(clinic.plan, clinic.arrays, clinic.workspace)
    run_jobs_left(
        jobs, clinic.arrays, clinic.workspace, workers=1, device="cpu", since=time_there(clinic.workspace.root),
        on_event=events.append,
    )  # fmt: skip
    return events


def test_a_failure_is_a_result_until_the_study_succeeds(broken: Clinic) -> None:
    events = run(broken)
    assert (
        sorted(event.state for event in events if event.state in ("finished", "failed"))
        == ["failed"] + ["finished"] * 4
    )
    results = {result.study.method.label: result for result in collect(broken.plan, broken.arrays, broken.workspace)}
    assert {label: result.status for label, result in results.items()} == {
        "mean": "ok", "scratch": "ok", "supervised": "ok", "exploding": "failed",
    }  # fmt: skip
    assert "lower `lr` or set `clip`" in results["exploding"].reason
    assert results["exploding"].arrays == broken.arrays["clinic"].fingerprint
    assert results["supervised"].pretraining
    (left,) = jobs_left(broken.plan, broken.arrays, broken.workspace)
    assert Study.model_validate_json(left.payload).method.label == "exploding"
    assert list((broken.workspace.root / "logs").glob("*")) == []
    broken.finish(broken.study("exploding"), mae=9)
    again = collect(broken.plan, broken.arrays, broken.workspace)
    assert [result.status for result in again] == ["ok"] * 4


def test_damaged_arrays_stop_the_run_and_say_what_to_remove(broken: Clinic) -> None:
    path = broken.workspace.root / broken.arrays["clinic"].path / "images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WorkspaceError, match=r"arrays/\w+ in the workspace is damaged.*Remove that folder"):
        run(broken)


def test_nothing_to_do_starts_no_worker(clinic: Clinic) -> None:
    run_jobs_left([], clinic.arrays, clinic.workspace, workers=1, device="cpu", since=0, on_event=lambda event: None)
    assert not (clinic.workspace.root / "failed").exists()


# ---------------------------------------------------------------- rates


def test_rates_are_seconds_an_image_of_what_has_run(clinic: Clinic) -> None:
    study = clinic.study("scratch")
    with clinic.workspace.publish("finetuned", study_key(study, clinic.arrays)) as folder:
        record = Checkpoint(
            path="", stage="finetune", sha256="", epochs=2, best_epoch=1, seconds=2.0, wall=2.5, samples=12
        )
        (folder / "result.json").write_text(record.model_dump_json())
    with clinic.workspace.publish("studies", study_key(study, clinic.arrays)) as folder:
        result = StudyResult(study=study, seconds={"evaluate": 0.5, "finetune": 2.0})
        (folder / "result.json").write_text(result.model_dump_json())
    note_rates(clinic.plan, clinic.arrays, clinic.workspace, workers=2, seconds=60.0)
    rates = known_rates(clinic.workspace.root)
    # the whole step and its evaluation, not the epochs alone; preprocessing kept two workers busy
    assert rates["finetune scratch small_cnn*1 1x16x16x16"] == 0.25
    stored = clinic.arrays["clinic"]
    assert rates["preprocess bids 1x16x16x16"] == pytest.approx(2 * stored.seconds / PEOPLE)
    assert rates["run"] == pytest.approx(60 - 3.0 / 2 - stored.seconds)
    assert set(rates) == {"finetune scratch small_cnn*1 1x16x16x16", "preprocess bids 1x16x16x16", "run"}


def test_what_an_earlier_run_did_is_no_part_of_this_ones_time(clinic: Clinic) -> None:
    note_rates(clinic.plan, clinic.arrays, clinic.workspace, workers=2, since=time.time() + 60, seconds=5.0)
    assert known_rates(clinic.workspace.root)["run"] == 5.0


def test_rates_of_earlier_runs_are_kept(clinic: Clinic) -> None:
    (clinic.workspace.root / "rates.json").write_text(json.dumps({"finetune vat sfcn*1 1x64x64x64": 2.0}))
    note_rates(clinic.plan, clinic.arrays, clinic.workspace)
    assert known_rates(clinic.workspace.root)["finetune vat sfcn*1 1x64x64x64"] == 2.0


def test_a_new_workspace_knows_no_rates(tmp_path: Path) -> None:
    assert known_rates(tmp_path / "none") == {}
