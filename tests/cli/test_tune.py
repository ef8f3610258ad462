"""`ctlr tune`, and `ctlr check` of manifests."""

import json
import re
import signal
import socket
import sqlite3
from pathlib import Path

import pytest
from plain_manifest import FROM_CONFIG_MAP, PROGRAM
from ruamel.yaml import YAML
from terminal import PATIENCE_SECONDS, Running, call
from tiny_bench import TINY

STUDY = PROGRAM.replace("name: square", "name: tiny-scratch").replace("loss", "val_mae").replace(
    '[sh, -c, "echo val_mae=${trialParameters.x}"]',
    '[ctlr, trial, tiny.yaml, --study=scratch, "--set=dropout=${trialParameters.x}", "--set=epochs=2"]',
).replace('min: "-1", max: "1"', 'min: "0", max: "0.5"')  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a manifest of each kind and a small benchmark."""
    (tmp_path / "square.yaml").write_text(PROGRAM)
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "tiny.yaml").write_text(TINY)
    return tmp_path


# ---------------------------------------------------------------- any program


def test_a_program_is_tuned_and_its_image_is_said_to_be_left_out(place: Path) -> None:
    finished = call("tune", "square.yaml", "--workers", "2", folder=place)
    assert finished.code == 0
    assert finished.err.count("example.org/square:1 is not used here") == 1
    assert "Passed over here" not in finished.err
    assert len(re.findall(r"^\[\d/3\] square-\w+ loss=", finished.err, re.MULTILINE)) == 3
    assert "square: the best of 3 trials" in finished.out
    assert re.search(r"^Optimum: loss=-?0\.\d+ with x=-?0\.\d+$", finished.out, re.MULTILINE)
    assert finished.out.endswith(
        "Succeeded: 3 trials were run (ExperimentMaxTrialsReached)\nReport: workspace/experiments/square/report.html\n"
    )
    assert (place / "workspace" / "experiments" / "square" / "journal.jsonl").exists()


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_status_is_the_one_that_katib_writes(form: str, place: Path) -> None:
    finished = call("tune", "square.yaml", "-o", form, folder=place)
    shown = json.loads(finished.out) if form == "json" else YAML(typ="safe").load(finished.out)
    assert shown["kind"] == "Experiment"
    assert shown["status"]["trialsSucceeded"] == 3
    assert shown["status"]["conditions"][-1]["reason"] == "ExperimentMaxTrialsReached"
    assert shown["status"]["currentOptimalTrial"]["parameterAssignments"][0]["name"] == "x"


def test_a_metric_called_like_a_column_takes_no_columns_place(place: Path) -> None:
    (place / "named.yaml").write_text(PROGRAM.replace("loss", "seconds"))
    finished = call("tune", "named.yaml", folder=place)
    assert finished.code == 0
    header = next(line for line in finished.out.splitlines() if "status" in line)
    assert [word.strip() for word in header.split("┃")[1:-1]] == ["trial", "status", "metrics_seconds", "seconds", "x"]


def test_a_run_that_ends_before_its_first_value_has_not_succeeded(place: Path) -> None:
    finished = call("tune", "square.yaml", "--max-seconds", "1e-9", folder=place)
    assert finished.code == 1
    assert "Failed: the time of the run is over, and no trial has a value yet" in finished.out
    assert call("tune", "square.yaml", "--resume", folder=place).code == 0


def test_limits_narrow_the_manifest(place: Path) -> None:
    one = call("tune", "square.yaml", "--max-trials", "1", "-o", "json", "-w", "one", folder=place)
    assert json.loads(one.out)["status"]["trials"] == 1
    first = call("tune", "square.yaml", "--goal", "0.9", "--workers", "1", "-o", "json", "-w", "goal", folder=place)
    assert json.loads(first.out)["status"]["conditions"][-1]["reason"] == "ExperimentGoalReached"


def test_a_finished_search_is_shown_again_by_resume_and_not_overwritten(place: Path) -> None:
    before = call("tune", "square.yaml", folder=place)
    refused = call("tune", "square.yaml", folder=place)
    assert refused.code == 2
    assert "--resume" in refused.err
    again = call("tune", "square.yaml", "--resume", folder=place)
    assert again.code == 0
    assert again.out == before.out


@pytest.mark.parametrize("limit", ["  maxFailedTrialCount: 1\n", ""])
def test_a_search_whose_trials_fail_ends_with_1(place: Path, limit: str) -> None:
    text = PROGRAM.replace("echo loss=${trialParameters.x}", "(echo ${trialParameters.x} >&2; exit 3)")
    (place / "bad.yaml").write_text(text.replace("  maxFailedTrialCount: 1\n", limit))
    finished = call("tune", "bad.yaml", "--workers", "1", folder=place)
    assert finished.code == 1
    assert "FAILED" in finished.err
    assert "Optimum" not in finished.out
    assert "ExperimentFailed" in finished.out


def test_a_container_whose_program_the_image_alone_knows_is_refused(place: Path) -> None:
    text = re.sub(r"command: \[.*\]\}", 'args: ["${trialParameters.x}"]}', PROGRAM)
    (place / "square.yaml").write_text(text)
    finished = call("tune", "square.yaml", folder=place)
    assert finished.code == 2
    assert "command" in finished.err


def test_what_a_cluster_alone_does_is_said(place: Path) -> None:
    text = PROGRAM.replace("      spec:\n        template:", "      spec:\n        backoffLimit: 4\n        template:")
    text = text.replace("restartPolicy: Never", "restartPolicy: OnFailure")
    text = text.replace("            containers:\n", POD_OF_MORE).replace(
        "{name: main, image", f"{{name: main, {FROM_SECRETS}, image"
    )
    (place / "square.yaml").write_text(text)
    finished = call("tune", "square.yaml", folder=place)
    assert finished.code == 0
    (told,) = [
        line for line in finished.err.splitlines() if line.startswith("Passed over here, and not on a cluster: ")
    ]
    assert told.partition(": ")[2].removesuffix(".").split("; ") == [
        "backoffLimit 4 (a trial that fails is not run again)",
        "restartPolicy OnFailure (a trial that fails is not run again)",
        "initContainers (fetch)",
        "other containers (proxy)",
        "volumeMounts (/data)",
        "valueFrom (TOKEN: set by this shell, or not at all)",
        "envFrom",
    ]


POD_OF_MORE = """\
            volumes: [{name: v, emptyDir: {}}]
            initContainers: [{name: fetch, image: i}]
            containers:
              - {name: proxy, image: p, volumeMounts: [{name: v, mountPath: /data}]}
"""
FROM_SECRETS = (
    "env: [{name: A, value: a}, {name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}], "
    "envFrom: [{secretRef: {name: s}}]"
)


def test_a_command_with_places_of_a_workflow_engine_passes_check_and_is_refused_here(place: Path) -> None:
    conditions = "    successCondition: s\n    failureCondition: f\n    trialSpec:\n"
    text = PROGRAM.replace("    trialSpec:\n", conditions).replace("batch/v1", "argoproj.io/v1alpha1")
    text = text.replace("kind: Job", "kind: Workflow").replace("echo loss=", "echo {{inputs.parameters.epochs}} loss=")
    (place / "square.yaml").write_text(text)
    assert call("check", "square.yaml", folder=place).code == 0
    finished = call("tune", "square.yaml", folder=place)
    assert finished.code == 2
    assert "its trials run {{inputs.parameters.epochs}}, which only a workflow engine fills in" in finished.err


def test_a_template_of_a_cluster_passes_check_and_is_refused_here(place: Path) -> None:
    (place / "square.yaml").write_text(FROM_CONFIG_MAP)
    assert call("check", "square.yaml", folder=place).code == 0
    finished = call("tune", "square.yaml", folder=place)
    assert finished.code == 2
    assert (
        "stands in the ConfigMap kubeflow/trial-templates of a cluster. Run it there with `--on katib`" in finished.err
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("none.yaml",), "none.yaml"),
        (("tiny.yaml",), "kind"),
        (("square.yaml", "--device", "tpu"), "`--device` must be"),
        (("square.yaml", "--workers", "0"), "--workers"),
        (("square.yaml", "--max-seconds", "0"), "--max-seconds"),
        (("square.yaml", "--max-seconds", "nan"), "`max_seconds > 0` must hold; got nan"),
        (("square.yaml", "--goal", "nan"), "`goal` must be a finite number; got nan"),
        (("square.yaml", "--goal", "1e400"), "`goal` must be a finite number; got inf"),
    ],
)
def test_what_cannot_be_tuned_ends_with_2(arguments: tuple[str, ...], told: str, place: Path) -> None:
    finished = call("tune", *arguments, folder=place)
    assert finished.code == 2
    assert told in finished.err
    assert finished.out == ""


# ---------------------------------------------------------------- trials of studies


def test_studies_are_tuned_in_warm_workers_and_recorded(place: Path) -> None:
    (place / "tiny.yaml").write_text(f"{TINY}tracking: {{backend: mlflow}}\n")
    finished = call("tune", "study.yaml", "--workers", "1", "--device", "cpu", folder=place)
    assert finished.code == 0, finished.err
    assert "is not used here" not in finished.err
    names = re.findall(r"^\[\d/3\] (tiny-scratch-\w+) val_mae=", finished.err, re.MULTILINE)
    assert len(names) == 3
    database = sqlite3.connect(place / "workspace" / "mlflow.db")
    recorded = database.execute("SELECT value FROM tags WHERE key = 'ctlr.trial'")
    assert sorted(name for (name,) in recorded) == sorted(names)
    database.close()


def test_an_interrupted_search_says_how_to_go_on_and_does(place: Path) -> None:
    endless = STUDY.replace("epochs=2", "epochs=100000")
    (place / "study.yaml").write_text(endless)
    arguments = ("tune", "study.yaml", "--workers", "1", "--device", "cpu")
    with Running(*arguments, folder=place) as run:
        journal = place / "workspace" / "experiments" / "tiny-scratch" / "journal.jsonl"
        run.wait_for(lambda: journal.exists() and "reported" in journal.read_text())
        run.signal(signal.SIGINT, group=True)
        finished = run.finish()
        assert run.left() == []
    assert finished.code == 130
    assert "trials that have ended. Go on with: ctlr tune study.yaml --resume --workspace workspace" in finished.err
    resumed = call(*arguments, "--resume", "--max-seconds", "1", "-o", "json", folder=place)
    status = json.loads(resumed.out)["status"]
    assert status["trials"] == status["trialsKilled"] == 1


# ---------------------------------------------------------------- check


def test_a_manifest_that_is_right_is_ok(place: Path) -> None:
    for name in ("square.yaml", "study.yaml"):
        assert call("check", name, folder=place).out == f"{name}: ok\n"
    shown = json.loads(call("check", "square.yaml", "-o", "json", folder=place).out)
    assert shown["experiment"]["parameters"][0]["low"] == "-1"


def test_a_manifests_faults_are_told_with_their_lines(place: Path) -> None:
    (place / "square.yaml").write_text(PROGRAM.replace('min: "-1"', 'min: "2"').replace("random,", "randon,"))
    finished = call("check", "square.yaml", folder=place)
    assert finished.code == 2
    assert re.findall(r"square.yaml:(\d+): ", finished.err) == ["6", "11"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("dropout=", "droput=", "`droput`: scratch has no such option. Did you mean 'dropout'?"),
        ('max: "0.5"', 'max: "1.5"', "`dropout=1.5`: must be less than 1"),
        ("study=scratch", "study=scrach", "Did you mean 'scratch'?"),
        ("study=scratch", "stdy=scratch", "No such option"),
        ("objectiveMetricName: val_mae", "objectiveMetricName: val_mea", "prints no 'val_mea'"),
        (
            "--study=scratch",
            "--study=scratch, --validation=kfold:3",
            "whose last value counts. Write `- {name: val_mae",
        ),
        ("type: minimize", "type: maximize", "val_mae improves by getting smaller. Minimize it."),
    ],
)
def test_options_of_a_study_are_checked_against_its_benchmark(old: str, new: str, told: str, place: Path) -> None:
    (place / "study.yaml").write_text(STUDY.replace(old, new))
    for command in ("check", "tune"):
        finished = call(command, "study.yaml", folder=place)
        assert finished.code == 2
        assert told in finished.err


def test_a_benchmark_that_is_not_at_hand_is_said_and_passes(place: Path) -> None:
    (place / "tiny.yaml").unlink()
    finished = call("check", "study.yaml", folder=place)
    assert finished.out == "study.yaml: ok\n"
    assert "tiny.yaml is not here, so that options were not checked" in finished.err


def test_overrides_are_for_benchmarks(place: Path) -> None:
    finished = call("check", "square.yaml", "--set", "spec.maxTrialCount=3", folder=place)
    assert finished.code == 2
    assert "a manifest is changed in its file" in finished.err


# ---------------------------------------------------------------- suggest


def test_the_suggestion_service_answers_until_it_is_told_to_end(tmp_path: Path) -> None:
    grpc = pytest.importorskip("grpc")
    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
    with Running("suggest", "--port", str(port), folder=tmp_path) as run:
        with grpc.insecure_channel(f"localhost:{port}") as channel:
            grpc.channel_ready_future(channel).result(timeout=PATIENCE_SECONDS)
            ask = channel.unary_unary("/grpc.health.v1.Health/Check")
            assert ask(b"", timeout=PATIENCE_SECONDS) == b"\x08\x01"  # status: SERVING
        run.signal(signal.SIGTERM, group=False)
        finished = run.finish()
    assert finished.code == 0
    assert finished.err == f"Answering at port {port}.\n"
