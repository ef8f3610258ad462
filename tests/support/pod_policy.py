"""What every pod of CTLR keeps: Pod Security `restricted`, a read-only root, requests and limits, pinned images."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

__all__ = ["Document", "containers", "faults", "kustomize", "pods", "read", "render"]

Document = dict[str, Any]

_PINNED = re.compile(r"[\w.-]+(?:[:]\d+)?(?:/[\w.-]+)*(?::(?P<tag>[\w.-]+)|@sha256:[0-9a-f]{64})")
_RENDERERS = (("kustomize", ["version"], ["build"]), ("kubectl", ["version", "--client"], ["kustomize"]))
_PLACES = {"Job": ("template",), "Deployment": ("template",), "StatefulSet": ("template",),
           "Experiment": ("trialTemplate", "trialSpec", "spec", "template")}  # fmt: skip


def read(path: Path) -> list[Document]:
    """The documents of a file."""
    return [document for document in YAML(typ="safe").load_all(path.read_text()) if document]


def kustomize() -> list[str] | None:
    """A command that renders folders with components (kustomize 5, kubectl 1.27); None where there is none."""
    for folder in os.get_exec_path():
        for name, asked, words in _RENDERERS:
            program = shutil.which(name, path=folder)
            if program is None:
                continue
            version = subprocess.run([program, *asked], capture_output=True, text=True, check=False).stdout
            if re.search(r"\bv5\.", version):
                return [program, *words]
    return None


def render(folder: Path) -> list[Document]:
    """The objects that `kubectl apply -k` would send."""
    words = kustomize()
    assert words is not None
    done = subprocess.run([*words, str(folder)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [document for document in YAML(typ="safe").load_all(done.stdout) if document]


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """(kind/name, pod template) of everything that makes pods."""
    for document in documents:
        if document["kind"] in _PLACES:
            template = document["spec"]
            for part in _PLACES[document["kind"]]:
                template = template[part]
            yield f"{document['kind']}/{document['metadata']['name']}", template


def containers(template: Document) -> list[Document]:
    """All containers of a pod, those that run first included."""
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def faults(template: Document) -> list[str]:
    """What a pod breaks; empty for a good one."""
    spec = template["spec"]
    found = [f"{key} is set" for key in ("hostNetwork", "hostPID", "hostIPC") if spec.get(key)]
    found += [f"volume {each['name']} is a hostPath" for each in spec.get("volumes", []) if "hostPath" in each]
    for container in containers(template):
        found += [f"{container['name']}: {fault}" for fault in _container_faults(spec, container)]
    return found


def _container_faults(spec: Document, container: Document) -> Iterator[str]:
    # What a container leaves open, its pod decides.
    context = (spec.get("securityContext") or {}) | (container.get("securityContext") or {})
    if context.get("runAsNonRoot") is not True or context.get("runAsUser") == 0:
        yield "may run as root"
    if (context.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
        yield "has no seccomp profile"
    if context.get("allowPrivilegeEscalation") is not False or context.get("privileged"):
        yield "may gain privileges"
    if (context.get("capabilities") or {}).get("drop") != ["ALL"] or context["capabilities"].get("add"):
        yield "keeps capabilities"
    if context.get("readOnlyRootFilesystem") is not True:
        yield "may write to its root"
    resources = container.get("resources") or {}
    asked, limit = resources.get("requests") or {}, resources.get("limits") or {}
    if not {"cpu", "memory"} <= set(asked) or "memory" not in limit:
        yield "does not say what it needs"
    match = _PINNED.fullmatch(container.get("image", ""))
    if match is None or match["tag"] == "latest":
        yield "has no pinned image"
