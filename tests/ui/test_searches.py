"""Searches on a cluster on the pages of a run; Katib and the API server are doubles (tests/support/katib_lab.py)."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from katib_lab import SPACE, Lab, laboratory, manifest
from kube_api import Node, Object
from terminal import until

from ctlr.errors import ClusterError
from ctlr.runs import Run
from ctlr.specs import Trial
from ctlr.tuning.katib import RUN, SUBMISSION, Listed, Listing, connect, run_on_katib
from ctlr.tuning.manifest import parse_experiment
from ctlr.ui.links import run_links
from ctlr.ui.options import checked
from ctlr.ui.searches import Searches

Client = Callable[..., TestClient]


@pytest.fixture(autouse=True)
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setattr("ctlr.ui.searches._SECONDS", 0.0)
    with laboratory(tmp_path) as lab:
        yield lab


def half_fails(node: Node, job: Object) -> None:
    """Trials of less than a half end well, the others by a program that says why."""
    if float(node.printed(job).rpartition("=")[2]) < 0.5:
        node.succeed(job, node.printed(job))
    else:
        node.fail(job, "Traceback\nValueError: x is too large\n")


def submitted(name: str, submission: str, **changes: Any) -> None:
    """A search of a submitted benchmark, run to its end."""
    document = manifest(name=name, **changes)
    document["metadata"] |= {"labels": {SUBMISSION: submission}, "annotations": {RUN: "5b1f"}}
    run_on_katib(parse_experiment(document), timeout=60)


def searches() -> Searches:
    connection = connect(namespace=SPACE)
    return Searches(Listing(connection).look, connection.namespace)


def test_a_search_is_shown_as_a_run_with_its_best_its_trials_and_why_some_failed(client: Client, lab: Lab) -> None:
    lab.play(half_fails)
    outcome = run_on_katib(parse_experiment(manifest(maxTrialCount=8, maxFailedTrialCount=8)), timeout=60)
    assert outcome.optimum is not None
    browser = client(namespace=SPACE)
    home = browser.get("/").text
    assert 'href="/searches/square"' in home
    page = browser.get("/searches/square").text
    assert f"best loss {outcome.optimum.value:.4g} by trial {outcome.optimum.number}" in page
    failed = [trial for trial in outcome.trials if trial.status == "Failed"]
    assert 0 < len(failed) < 8
    # In the table, in a list of its own, and among what happened.
    assert page.count("exit code 1: ValueError: x is too large") == 3 * len(failed)
    rows = re.search(r'<table class="trials">.*?</table>', page, re.DOTALL)
    assert rows is not None
    assert rows[0].count("<tr>") == 1 + 8
    for trial in outcome.trials:
        assert f"x={float(trial.assignments['x']):.4g}" in rows[0]
    assert 'class="badge finished" id="life"' in page
    assert "<svg" in page  # its history


def test_the_table_is_filtered_and_sorted_as_that_of_any_run(client: Client, lab: Lab) -> None:
    lab.play(half_fails)
    run_on_katib(parse_experiment(manifest(maxTrialCount=8, maxFailedTrialCount=8)), timeout=60)
    page = client(namespace=SPACE).get("/searches/square?status=Succeeded&sort=value&order=up").text
    values = [float(each) for each in re.findall(r'<td>Succeeded</td><td class="number">([\d.e-]+)', page)]
    assert values == sorted(values)
    assert len(values) >= 2
    assert "<td>Failed</td>" not in page
    assert 'href="/searches/square?' in page  # its links stay on it
    assert "/runs/square" not in page


def test_searches_of_a_submitted_benchmark_are_one_run_and_are_ranked(client: Client) -> None:
    submitted("one", "tiny-0123456789")
    submitted("other", "tiny-0123456789", parameters=[
        {"name": "x", "parameterType": "double", "feasibleSpace": {"min": "2", "max": "3"}},
    ])  # fmt: skip
    run_on_katib(parse_experiment(manifest()), timeout=60)
    found = searches().all()
    assert set(found) == {"tiny-0123456789", "square"}
    page = client(namespace=SPACE).get("/searches/tiny-0123456789").text
    ranking = re.findall(r"<td>(\d)</td><td>(one|other)</td>", page)
    assert ranking == [("1", "one"), ("2", "other")]  # the loss is x, and the other one's is 2 at least


def test_a_search_that_goes_on_is_followed_and_nothing_comes_twice(lab: Lab) -> None:
    held: list[Object] = []
    lab.play(
        lambda node, job: held.append(job) if len(held) == 2 else (held.append(job), node.succeed(job, "loss=1\n"))
    )
    connection = connect(namespace=SPACE)
    connection.create_experiment(manifest(maxTrialCount=3, parallelTrialCount=1))
    looking = searches()
    until(lambda: len(held) == 3)
    found = until(
        lambda: (each := looking.all().get("square")) and len(each.run.searches["square"].trials) == 3 and each
    )
    assert found.life == "running"
    first = list(found.events)
    assert [event["n"] for event in first] == list(range(1, len(first) + 1))
    Node(lab.api, lambda node, job: None).succeed(held[-1], "loss=0.5\n")
    ended = until(lambda: (each := looking.all()["square"]).life == "finished" and each)
    assert list(ended.events)[: len(first)] == first  # a page that has these asks for what comes after
    best = ended.run.searches["square"].best
    assert best is not None
    assert (best.number, best.value) == (2, 0.5)
    assert searches().all()["square"].events == ended.events  # another server tells the same


def test_what_is_seen_later_of_the_same_second_comes_after_what_was_told() -> None:
    def trial(number: int, **more: Any) -> Trial:
        values = {"status": "Running", "value": None, "metrics": {}, "seconds": 0.0, "started": 5.0} | more
        return Trial(number=number, name=f"square-{number}", assignments={"x": "1"}, **values)

    def listed(*trials: Trial) -> list[Listed]:
        return [Listed("square", "", "", datetime(2026, 11, 28, tzinfo=UTC), None, None, "", trials)]

    looks = iter([listed(trial(0), trial(1)), listed(trial(0, status="Succeeded", value=1.0), trial(1))])
    looking = Searches(lambda: next(looks), SPACE)
    first = looking.all()["square"].events
    assert [event["kind"] for event in first] == ["run.began", "step.started", "trial.started", "trial.started"]
    second = until(lambda: (told := looking.all()["square"].events) != first and told)
    assert second[:4] == first
    assert [(event["n"], event["kind"], event["number"]) for event in second[4:]] == [(5, "trial.ended", 0)]


def test_an_experiment_that_ctlr_cannot_read_is_named_and_stops_no_other(client: Client, lab: Lab) -> None:
    run_on_katib(parse_experiment(manifest()), timeout=60)
    foreign = manifest(name="darts")
    foreign["spec"]["algorithm"] = {"algorithmName": "darts"}
    foreign["spec"]["nasConfig"] = {"graphConfig": {"numLayers": 3}}
    del foreign["spec"]["parameters"]
    foreign["metadata"] |= {"uid": "u", "creationTimestamp": "2026-11-28T00:00:00Z", "namespace": SPACE}
    looking = Listing(connect(namespace=SPACE))
    ours, documents = looking.look(), connect(namespace=SPACE).experiments()
    looking._connection.experiments = lambda: [*documents, foreign]  # type: ignore[method-assign]
    found = {each.name: each for each in looking.look()}
    assert found["square"] == ours[0]
    assert found["darts"].experiment is None
    assert found["darts"].fault


def test_what_katib_fills_in_is_read_as_well() -> None:
    """As of experiment_defaults.go of Katib 0.19."""
    document = manifest(parameters=[
        {"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}},
        {"name": "kind", "parameterType": "categorical", "feasibleSpace": {"list": ["a", "b"]}},
    ])  # fmt: skip
    spec = document["spec"]
    template = spec["trialTemplate"]
    template["trialParameters"].append({"name": "kind", "reference": "kind"})
    template["trialSpec"]["spec"]["template"]["spec"]["containers"][0]["command"][-1] += " ${trialParameters.kind}"
    for parameter in spec["parameters"]:
        parameter["feasibleSpace"]["distribution"] = "uniform"
    template |= {
        "successCondition": 'status.conditions.#(type=="Complete")#|#(status=="True")#',
        "failureCondition": 'status.conditions.#(type=="Failed")#|#(status=="True")#',
    }
    spec |= {"resumePolicy": "Never", "metricsCollectorSpec": {"collector": {"kind": "StdOut"}}}
    spec["objective"]["metricStrategies"] = [{"name": "loss", "value": "min"}]
    connection = connect(namespace=SPACE)
    connection.create_experiment(document)
    (found,) = Listing(connection).look()
    assert (found.fault, found.experiment is not None) == ("", True)


def test_trials_of_one_that_was_deleted_are_not_those_of_the_next_of_its_name(lab: Lab) -> None:
    stale = {
        "metadata": {
            "name": "square-old", "labels": {"katib.kubeflow.org/experiment": "square"},
            "ownerReferences": [{"kind": "Experiment", "name": "square", "uid": "gone"}],
        },
        "spec": {"parameterAssignments": [{"name": "x", "value": "0"}]},
    }  # fmt: skip
    lab.api.put("trials", SPACE, stale)
    outcome = run_on_katib(parse_experiment(manifest()), timeout=60)
    (found,) = Listing(connect(namespace=SPACE)).look()
    assert [each.name for each in found.trials] == [each.name for each in outcome.trials]


def test_without_a_cluster_the_workspaces_runs_are_shown_and_why_its_searches_are_not(client: Client, lab: Lab) -> None:
    browser = client(namespace=SPACE)
    lab.served.stop()
    home = browser.get("/")
    assert home.status_code == 200
    assert "does not answer" in home.text
    assert browser.get("/searches/square").status_code == 400


def test_while_the_cluster_does_not_answer_it_is_not_asked_by_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctlr.ui.searches._SECONDS", 60.0)
    asked: list[int] = []

    def look() -> list[Any]:
        asked.append(1)
        raise ClusterError("it is away")

    looking = Searches(look, SPACE)
    for _ in range(3):
        with pytest.raises(ClusterError, match="it is away"):
            looking.all()
    assert len(asked) == 1


def test_an_app_without_a_namespace_has_no_such_pages(client: Client) -> None:
    assert "Searches on the cluster" not in client().get("/").text
    assert client().get("/searches/square").status_code == 404


def test_behind_kubeflow_its_own_pages_of_the_same_are_linked(client: Client, lab: Lab) -> None:
    submitted("one", "tiny-0123456789")
    lab.api.users = {("ann", "list")}
    kubeflow = {"user_header": "kubeflow-userid", "hosts": ("*",), "namespace": SPACE}
    page = client(headers={"kubeflow-userid": "ann"}, **kubeflow).get("/searches/tiny-0123456789").text
    assert 'href="/_/pipeline/?ns=lab#/runs/details/5b1f" target="_top"' in page
    assert 'href="/_/katib/experiment/lab/one?ns=lab"' in page
    assert "/_/" not in client(namespace=SPACE).get("/searches/tiny-0123456789").text  # nobody knows where they are


def test_mlflow_is_linked_where_the_benchmark_names_its_server_and_no_password_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "submissions" / "tiny-0123456789"
    folder.mkdir(parents=True)
    run = Run("tiny", began={"submission": "tiny-0123456789", "run": "5b1f"})
    for uri, links in (
        ('"http://ann:secret@mlflow.ctlr:5000"', [("MLflow", "http://mlflow.ctlr:5000")]),
        ("null", []),
        ('"javascript:alert(1)"', []),
        ('" javascript://mlflow.ctlr/%0aalert(1)"', []),
        ('"data:text/html,http://mlflow.ctlr"', []),
        ('"//evil.example"', []),
        ('"http:evil.example"', []),
        ('"http://[::1"', []),
        ('"http://evil.example\\\\@mlflow.ctlr"', []),
        ("7", []),
    ):
        (folder / "benchmark.json").write_text(f'{{"tracking": {{"uri": {uri}}}}}')
        assert run_links(checked(tmp_path), run) == links
    behind = checked(tmp_path, namespace="lab", user_header="kubeflow-userid")
    assert run_links(behind, run) == [("Kubeflow Pipelines", "/_/pipeline/?ns=lab#/runs/details/5b1f")]
