"""`ctlr tensorboard` on a tuned benchmark and a search, read back by TensorBoard's own reader."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from terminal import Finished, call
from tiny_bench import TINY, search_of

pytest.importorskip("tensorboard", reason="ctlr[tensorboard] is not installed")

TUNING = """\
tuning:
  experiments: {scratch: rate.yaml, supervised: rate.yaml}
  trials: 2
  parallel: 1
"""

SEARCH = """\
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: bowl}
spec:
  objective: {type: minimize, objectiveMetricName: loss}
  algorithm: {algorithmName: random}
  parallelTrialCount: 1
  maxTrialCount: 3
  parameters: [{name: x, parameterType: double, feasibleSpace: {min: "0", max: "1"}}]
  trialTemplate:
    primaryContainerName: trial
    trialParameters: [{name: x, reference: x}]
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            restartPolicy: Never
            containers: [{name: trial, image: none, command: [echo, "loss=${trialParameters.x}"]}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("board")
    text = TINY.replace("simclr: {}, vat: {}}", "}").replace("n_frozen: 1}}, }", "n_frozen: 1}}}")
    (folder / "tiny.yaml").write_text(text.replace("sample_sizes: [6, 10]", "sample_sizes: [6]") + TUNING)
    (folder / "rate.yaml").write_text(search_of("lr"))
    (folder / "bowl.yaml").write_text(SEARCH)
    return folder


@pytest.fixture(scope="module")
def exports(folder: Path) -> list[Finished]:
    """Of a search alone; with a run beside it; and the same again."""
    done = [call("tune", "bowl.yaml", folder=folder), call("tensorboard", "board", folder=folder)]
    done += [call("run", "tiny.yaml", "--workers", "1", folder=folder)]
    done += [call("tensorboard", "board", folder=folder) for _ in range(2)]
    assert [each.code for each in done] == [0] * 5, [each.err for each in done]
    return [done[1], *done[3:]]


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def points(run: Any, tag: str) -> list[tuple[int, float]]:
    return [(event.step, pytest.approx(event.value, rel=1e-4)) for event in run.Scalars(tag)]


def test_what_has_ended_since_is_added_and_nothing_twice(exports: list[Finished], folder: Path) -> None:
    assert "3 runs in board, 3 of them new" in exports[0].err
    assert "13 runs in board, 10 of them new" in exports[1].err
    assert "13 runs in board, 0 of them new. Look at them with: tensorboard --logdir board" in exports[2].err
    for place in (folder / "board").rglob("*/"):
        assert len(list(place.glob("events.out.tfevents.*"))) <= 1


def test_every_study_is_a_run_with_its_final_scores(exports: list[Finished], folder: Path) -> None:
    results = json.loads(call("report", "-o", "json", folder=folder).out)["results"]
    for result in results:
        run = read(folder / "board/tiny/studies" / result["study"])
        assert points(run, "final/test_mae") == [(0, result["test_mae"])]
    trained = {place.name for place in (folder / "board/tiny/studies").iterdir()}
    assert trained == {result["study"] for result in results}


def test_learning_rates_and_losses_of_every_stage_are_there(exports: list[Finished], folder: Path) -> None:
    (history,) = (folder / "workspace" / "pretrained").glob("*/history.csv")
    (place,) = (folder / "board/tiny/pretraining").iterdir()
    with history.open(newline="") as file:
        rows = list(csv.DictReader(file))
    run = read(place)
    for column in ("lr", "train_loss", "validation_loss"):
        assert points(run, f"epoch/{column}") == [(int(row["epoch"]), float(row[column])) for row in rows]
    (study,) = (folder / "board/tiny/studies").glob("supervised-*")
    assert [step for step, _ in points(read(study), "epoch/lr")] == [1, 2, 3]


def test_trials_have_their_hyperparameters_and_what_they_came_to(exports: list[Finished], folder: Path) -> None:
    from tensorboard.plugins.hparams import metadata

    def hyperparameters(place: Path) -> dict[str, Any]:
        content = read(place).SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
        given = metadata.parse_session_start_info_plugin_data(content).hparams
        return {name: getattr(value, value.WhichOneof("kind")) for name, value in given.items()}

    with (folder / "workspace/reports/tiny/trials.csv").open(newline="") as file:
        rows = {row["trial"]: row for row in csv.DictReader(file)}
    places = list((folder / "board/tiny/trials").iterdir())
    assert {place.name for place in places} == set(rows)
    for place in places:
        row, given = rows[place.name], hyperparameters(place)
        assert given["method"] == row["method"]
        assert given["method.finetune.lr"] == pytest.approx(float(row["lr"]), rel=1e-3)
        assert points(read(place), "final/val_mae") == [(0, pytest.approx(float(row["value"]), rel=1e-3))]
        assert [step for step, _ in points(read(place), "epoch/val_mae")] == [1, 2, 3]
    for place in (folder / "board/searches/bowl").iterdir():
        assert points(read(place), "final/loss") == [(0, hyperparameters(place)["x"])]
    (study,) = (folder / "board/tiny/studies").glob("mean-*")
    assert not [name for name in hyperparameters(study) if name.startswith("method.finetune.")]


def test_a_workspace_without_a_run_is_told(tmp_path: Path) -> None:
    done = call("tensorboard", "board", folder=tmp_path)
    assert done.code == 2
    assert "workspace holds no run. Start one with `ctlr run FILE" in done.err
    assert not (tmp_path / "board").exists()
