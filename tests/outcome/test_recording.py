from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_bench import Bench

from ctlr.errors import CtlrError
from ctlr.outcome.recording import Recorder, make_tracker
from ctlr.report.finished import Finished
from ctlr.specs import StoredArrays, StudyResult
from ctlr.tracking import MemoryTracker, MlflowTracker, NullTracker, Tracker
from ctlr.workspace import Workspace

Begin = Callable[[Tracker], Recorder]

ARRAYS = StoredArrays(
    fingerprint="a" * 24, path="arrays/a", rows=48, subjects=40, shape=(1, 32, 32, 32), dtype="float16"
)


class Broken(MemoryTracker):
    """Takes the first study and then no more."""

    def log_study(self, *args: object, **kwargs: object) -> str:
        if self.studies:
            raise CtlrError("the server is gone.")
        return super().log_study(*args, **kwargs)  # type: ignore[arg-type]


@pytest.fixture
def begin(bench: Bench, tmp_path: Path) -> Begin:
    def begin(tracker: Tracker) -> Recorder:
        workspace = Workspace(tmp_path / "workspace")
        return Recorder(tracker, bench.config, workspace, {"ctlr": "9.9", "torch": "2.13"}, {"cohort": ARRAYS})

    return begin


def result(bench: Bench, label: str, **more: object) -> StudyResult:
    return StudyResult.model_validate({"study": bench.study(label), **more})


def test_a_benchmark_chooses_its_tracker(bench: Bench) -> None:
    def tracker(backend: str) -> Tracker:
        tracking = bench.config.tracking.model_copy(update={"backend": backend})
        return make_tracker(bench.config.model_copy(update={"tracking": tracking}), bench.workspace)

    assert isinstance(tracker("none"), NullTracker)
    assert isinstance(tracker("mlflow"), MlflowTracker)


def test_every_study_is_recorded_before_the_block_ends(begin: Begin, bench: Bench) -> None:
    tracker = MemoryTracker()
    with begin(tracker) as recorder:
        for label in ("mean", "scratch", "vat"):
            recorder.put(result(bench, label, scores={"test": {"mae": 3.0}}))
    assert recorder.error is None
    assert tracker.status == "finished"
    assert [study.result.study.method.label for study in tracker.studies.values()] == ["mean", "scratch", "vat"]
    assert all(study.result.environment == {"ctlr": "9.9", "torch": "2.13"} for study in tracker.studies.values())
    assert set(tracker.files[tracker.parent]) == {"benchmark.yaml", "environment.json"}


def test_datasets_are_told_with_their_fingerprints_and_uses(begin: Begin) -> None:
    tracker = MemoryTracker()
    with begin(tracker):
        pass
    (told,) = tracker.data[tracker.parent]
    assert (told.name, told.digest, told.kind) == ("cohort", "a" * 24, "cohort")
    assert (told.images, told.subjects, told.image_shape, told.evaluates) == (48, 40, (1, 32, 32, 32), True)


def test_an_outcome_that_cannot_be_recorded_is_told_and_stops_nothing(begin: Begin, bench: Bench) -> None:
    class Refusing(MemoryTracker):
        def log_outcome(self, *args: object) -> None:
            raise CtlrError("the registry is gone.")

    with begin(Refusing()) as recorder:
        pass
    found = Finished(config=bench.config, root=bench.workspace.root, results=())
    recorder.conclude(found, Path("report.html"))
    assert str(recorder.error) == "the registry is gone."


def test_a_failed_study_makes_a_failed_benchmark(begin: Begin, bench: Bench) -> None:
    tracker = MemoryTracker()
    with begin(tracker) as recorder:
        recorder.put(result(bench, "scratch", status="failed", reason="the loss became nan"))
    assert tracker.status == "failed"
    (study,) = tracker.studies.values()
    assert study.result.reason == "the loss became nan"


def test_an_interrupted_run_is_recorded_as_such(begin: Begin) -> None:
    tracker = MemoryTracker()
    with pytest.raises(KeyboardInterrupt), begin(tracker):
        raise KeyboardInterrupt
    assert tracker.status == "interrupted"


def test_a_tracker_that_breaks_stops_no_run(begin: Begin, bench: Bench) -> None:
    tracker = Broken()
    with begin(tracker) as recorder:
        for label in ("mean", "scratch", "vat"):
            recorder.put(result(bench, label))
    assert str(recorder.error) == "the server is gone."
    assert len(tracker.studies) == 1
    assert tracker.status is None
