"""A real cluster by kubectl, for the tests that are marked `cluster`."""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pod_policy import Document, read

__all__ = ["apply", "ended_job", "get", "job_of", "kubectl", "scores_there", "waited"]

ROOT = Path(__file__).parents[2]


def kubectl(*words: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["kubectl", *words], input=stdin, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0 or not check, f"kubectl {' '.join(words)}: {done.stderr}"
    return done


def get(*words: str) -> Any:
    return json.loads(kubectl("get", *words, "-o", "json").stdout)


def apply(documents: list[Document]) -> subprocess.CompletedProcess[str]:
    return kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))


def waited(what: Callable[[], Any], *, seconds: float = 300) -> Any:
    """The first answer that is not empty."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, f"nothing after {seconds} s"
        time.sleep(1)
    return found


def job_of(name: str, namespace: str, *words: str, command: Sequence[str] = ()) -> Document:
    """The Job of components/check, which mounts the workspace, with other words."""
    (job,) = read(ROOT / "manifests" / "components" / "check" / "job.yaml")
    job["metadata"] |= {"name": name, "namespace": namespace}
    (container,) = job["spec"]["template"]["spec"]["containers"]
    container["args"] = list(words)
    if command:
        container["command"] = list(command)
    return job


def ended_job(name: str, namespace: str) -> tuple[str, str]:
    """(condition, log) of a Job that has ended."""

    def conditions() -> list[str]:
        status = get("-n", namespace, "job", name)["status"]
        return [each["type"] for each in status.get("conditions", []) if each["status"] == "True"]

    found = waited(conditions)
    return found[-1], kubectl("-n", namespace, "logs", f"job/{name}").stdout


def scores_there(namespace: str) -> dict[str, float]:
    """Mean absolute errors on the test set, by study, of what a namespace's workspace holds."""
    kubectl("-n", namespace, "delete", "job", "scores", "--ignore-not-found")
    apply([job_of("scores", namespace, command=["python", "-c", _SCORES])])
    ended, log = ended_job("scores", namespace)
    kubectl("-n", namespace, "delete", "job", "scores")
    assert ended == "Complete", log
    return dict(json.loads(log))


_SCORES = """
import json, pathlib
found = pathlib.Path("/workspace/studies").glob("*/result.json")
scores = {path.parent.name: json.loads(path.read_text())["scores"] for path in found}
print(json.dumps({name: each["test"]["mae"] for name, each in scores.items() if "mae" in each.get("test", {})}))
"""
