"""`ctlr tune --on katib`, against a small API server and Katib's double."""

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from katib_lab import SPACE, Lab, laboratory, manifest
from ruamel.yaml import YAML
from terminal import Running, call
from tiny_bench import TINY


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    YAML(typ="safe").dump(manifest(), tmp_path / "square.yaml")
    with laboratory(tmp_path) as lab:
        yield lab


def test_a_search_ends_with_its_optimum_and_its_report(lab: Lab) -> None:
    finished = call("tune", "square.yaml", "--on", "katib", folder=lab.folder)
    assert finished.code == 0, finished.err
    assert "square: the best of 4 trials" in finished.out
    assert re.search(r"^Optimum: loss=0\.\d+ with x=0\.\d+$", finished.out, re.MULTILINE)
    assert finished.out.endswith(
        "Succeeded: 4 trials were run (ExperimentMaxTrialsReached)\nReport: workspace/experiments/square/report.html\n"
    )
    assert len(re.findall(r"^\[\d/4\] square-\w+ loss=", finished.err, re.MULTILINE)) == 4
    assert (lab.folder / "workspace/experiments/square/report.html").exists()


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_clusters_object_is_printed_in_the_shape_of_the_local_one(lab: Lab, form: str) -> None:
    shown = []
    for options in (["--on", "katib"], []):
        finished = call("tune", "square.yaml", *options, "-o", form, folder=lab.folder)
        shown.append(json.loads(finished.out) if form == "json" else YAML(typ="safe").load(finished.out))
    there, here = shown
    for document in shown:
        document["status"].pop("lastReconcileTime", None)
    assert there["status"].keys() == here["status"].keys()
    optimum = [document["status"]["currentOptimalTrial"]["parameterAssignments"] for document in shown]
    assert optimum[0] == optimum[1]


def test_the_command_is_repeated_to_see_the_result_again(lab: Lab) -> None:
    first = call("tune", "square.yaml", "--on", "katib", folder=lab.folder)
    again = call("tune", "square.yaml", "--on", "katib", folder=lab.folder)
    assert again.out == first.out
    assert "is there already with the same content" in again.err
    assert lab.api.requests.count("create experiments") == 1


def test_nothing_is_waited_for_where_that_is_wanted(lab: Lab) -> None:
    finished = call("tune", "square.yaml", "--on", "katib", "--no-wait", folder=lab.folder)
    assert (finished.code, finished.out) == (
        0, f"square was created: namespace {SPACE} of {lab.served.address}\n",
    )  # fmt: skip
    finished = call("tune", "square.yaml", "--on", "katib", "--no-wait", "-o", "json", folder=lab.folder)
    assert json.loads(finished.out)["created"] is False


def test_an_experiment_is_deleted_after_its_end_where_that_is_wanted(lab: Lab) -> None:
    assert call("tune", "square.yaml", "--on", "katib", "--delete", folder=lab.folder).code == 0
    assert not lab.experiments


def test_a_search_that_fails_shows_the_last_lines_of_its_trials(lab: Lab) -> None:
    lab.play(lambda node, job: node.fail(job, "reading\nValueError: no such column\n"))
    finished = call("tune", "square.yaml", "--on", "katib", folder=lab.folder)
    assert finished.code == 1
    assert "FAILED: exit code 1: ValueError: no such column" in finished.err
    assert re.search(r"--- the last lines of square-\w+\nreading\nValueError: no such column\n", finished.err)
    assert re.search(r"^Failed: .*ValueError: no such column \(ExperimentFailed\)$", finished.out, re.MULTILINE)


def test_an_unreachable_cluster_is_exit_4_with_what_to_type(lab: Lab) -> None:
    lab.served.stop()
    finished = call("tune", "square.yaml", "--on", "katib", folder=lab.folder)
    lab.served.start()
    assert (finished.code, finished.out) == (4, "")
    assert lab.served.address in finished.err
    assert "kubectl get --raw /readyz" in finished.err


def test_ctrl_c_leaves_the_experiment_and_says_how_to_go_on(lab: Lab) -> None:
    lab.play(lambda node, job: node.run(job))
    with Running("tune", "square.yaml", "--on", "katib", "--namespace", SPACE, folder=lab.folder) as command:
        command.wait_for(lambda: "watch experiments" in lab.api.requests)
        command.signal(signal.SIGINT, group=False)
        finished = command.finish()
    assert finished.code == 130
    assert "Follow it again with: ctlr tune square.yaml --on katib --namespace lab" in finished.err
    assert "square" in lab.experiments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--on", "katib", "--workers", "2"],
            "--workers means nothing with `--on katib`: the manifest's `parallel",
        ),
        (["--on", "katib", "--resume"], "--resume means nothing with `--on katib`: the same command takes up"),
        (["--on", "katib", "--device", "cuda"], "--device means nothing with `--on katib`"),
        (["--on", "katib", "--max-seconds", "9"], "activeDeadlineSeconds"),
        (["--no-wait"], "--wait/--no-wait means nothing with `--on local`: it is about a cluster; add `--on katib`"),
        (["--context", "large"], "--context means nothing with `--on local`"),
    ],
)
def test_options_that_mean_nothing_there_are_refused_with_the_reason(
    lab: Lab, options: list[str], message: str
) -> None:
    finished = call("tune", "square.yaml", *options, folder=lab.folder)
    assert (finished.code, finished.out) == (2, "")
    assert message in finished.err
    assert lab.api.requests == []


# ---------------------------------------------------------------- the optimum, written into a benchmark's file


@pytest.fixture
def studying(lab: Lab) -> Lab:
    """The trials of the search are those of a benchmark's study; the more dropout, the worse."""
    (lab.folder / "tiny.yaml").write_text(TINY)
    command = ["ctlr", "trial", "tiny.yaml", "--study=scratch", "--n=6", "--set=dropout=${trialParameters.x}"]
    search = manifest(
        objective={"type": "minimize", "objectiveMetricName": "val_mae"}, container={"command": command},
        parameters=[{"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "0.5"}}],
    )  # fmt: skip
    YAML(typ="safe").dump(search, lab.folder / "study.yaml")

    def play(node: Any, job: Any) -> None:
        words = str(job["spec"]["template"]["spec"]["containers"])
        found = re.search(r"dropout=([\d.e-]+)", words)
        assert found is not None
        node.succeed(job, f"val_mae={float(found[1])}\n")

    lab.play(play)
    return lab


@pytest.mark.parametrize("here", [True, False])
def test_the_optimum_of_a_cluster_is_written_into_a_file_of_this_machine(studying: Lab, here: bool) -> None:
    """Whether or not the file that the pods read, by a path of their own, lies here too."""
    folder = studying.folder
    (folder / "mine.yaml").write_text(TINY)
    if not here:
        (folder / "tiny.yaml").unlink()
    command = ("tune", "study.yaml", "--on", "katib", "--apply", "mine.yaml")
    finished = call(*command, folder=folder)
    assert finished.code == 0, finished.err
    found = re.search(r"Optimum: val_mae=\S+ with x=(\S+)", finished.out)
    assert found is not None
    assert f"scratch: {{finetune: {{dropout: {found[1]}}}}}" in (folder / "mine.yaml").read_text()
    again = call(*command, folder=folder)  # the Experiment has ended: it is followed, and not run once more
    assert again.out.endswith("mine.yaml: has these options already.\n")
    assert studying.api.requests.count("create experiments") == 1


def test_what_is_not_waited_for_cannot_be_applied(studying: Lab) -> None:
    finished = call("tune", "study.yaml", "--on", "katib", "--no-wait", "--apply", "tiny.yaml", folder=studying.folder)
    assert (finished.code, finished.out) == (2, "")
    assert "`--apply` needs the search's end. Remove `--no-wait`" in finished.err
    assert studying.api.requests == []
