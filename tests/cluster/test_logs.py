"""Logs of a run's pods, from a small API server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from kube_api import KubeApi, serving
from terminal import call

RUN = "0b1f"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubeApi]:
    api = KubeApi()
    with serving(api, tmp_path):
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield api


def pod(api: KubeApi, name: str, second: int, phase: str = "Succeeded", run: str = RUN) -> None:
    stamp = f"2026-11-20T10:00:{second:02d}Z"
    labels = {"pipeline/runid": run}
    metadata = {"name": name, "labels": labels, "creationTimestamp": stamp}
    api.put("pods", "lab", {"metadata": metadata, "spec": {"containers": []}, "status": {"phase": phase}})
    api.logs[name, "main"] = f"{name} has worked\n"


def test_pods_that_work_are_shown_in_their_order(api: KubeApi, tmp_path: Path) -> None:
    pod(api, "ctlr-system-container-impl-2", 9)
    pod(api, "ctlr-system-container-driver-1", 1)
    pod(api, "ctlr-system-container-impl-1", 2)
    pod(api, "other-system-container-impl", 3, run="ffff")
    done = call("logs", RUN, "--namespace", "lab", folder=tmp_path)
    assert done.code == 0, done.err
    assert [line for line in done.out.splitlines() if line] == [
        "==> ctlr-system-container-impl-1 (Succeeded)", "ctlr-system-container-impl-1 has worked",
        "==> ctlr-system-container-impl-2 (Succeeded)", "ctlr-system-container-impl-2 has worked",
    ]  # fmt: skip


def test_a_pod_that_has_not_started_has_no_log_yet(api: KubeApi, tmp_path: Path) -> None:
    pod(api, "ctlr-system-container-impl-1", 2, phase="Pending")
    assert call("logs", RUN, "--namespace", "lab", folder=tmp_path).out.strip() == (
        "==> ctlr-system-container-impl-1 (Pending)"
    )


def test_a_run_without_pods_is_told_with_what_may_be_the_reason(api: KubeApi, tmp_path: Path) -> None:
    done = call("logs", RUN, "--namespace", "lab", folder=tmp_path)
    assert done.code == 4
    assert f"no pods of run {RUN!r} in namespace 'lab'" in done.err


def test_a_cluster_that_is_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(KubeApi(), tmp_path) as served:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    done = call("logs", RUN, "--namespace", "lab", folder=tmp_path)
    assert done.code == 4
    assert served.address in done.err


def test_without_any_configuration_the_way_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    done = call("logs", RUN, folder=tmp_path)
    assert done.code == 4
    assert "Set KUBECONFIG" in done.err
