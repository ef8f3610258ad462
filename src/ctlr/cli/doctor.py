"""`ctlr doctor`: what a run needs, on this machine or on a cluster."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import rich_click as click

from ctlr.cli.options import output_option, workspace_option
from ctlr.errors import ClusterError, ConfigError

__all__ = ["doctor", "examine"]

NEEDED = (
    "torch", "torchvision", "numpy", "scipy", "scikit-learn", "scikit-image", "nibabel", "isal", "safetensors",
    "pydantic",
)  # fmt: skip
SHOWN = 3
"""Encoders for volumes, the lightest, of which it is said which of their layers run in which precision."""
SHOWN_SIDE = 32
"""Voxels a side of the volumes that they then read, the side of a new benchmark's."""
ROOM_BYTES = 2 * 2**30
"""Free disk below which a run is likely to stop."""


@click.command()
@workspace_option("Folder that holds what steps made. Benchmarks may share one.")
@click.option("--cluster", is_flag=True, help="Check a cluster instead: Kubernetes, rights, Katib, pipelines, MLflow.")
@click.option("--host", default="", envvar="KF_PIPELINES_ENDPOINT",
              help="Address of Kubeflow Pipelines; by default its service in the cluster.")  # fmt: skip
@click.option("--namespace", default="", envvar="CTLR_NAMESPACE", help="Of your runs; by default the context's.")
@click.option("--context", default="", help="Of kubectl's configuration; by default the current one.")
@output_option()
def doctor(workspace: Path, cluster: bool, host: str, namespace: str, context: str, output: str) -> int:
    """Check this machine, or with --cluster a cluster. Each line is ok or says what to do."""
    from ctlr.cli.show import show

    if cluster:
        findings = _examine_cluster(host, namespace, context)
    elif context:
        raise ConfigError("`--context` says which cluster to check. Add --cluster.")
    else:
        findings = examine(workspace)
    if output == "table":
        for finding in findings:
            mark = "ok " if finding["ok"] else "-- " if finding["optional"] else "BAD"
            click.echo(f"{mark}  {finding['what']}: {finding['found']}")
            if not finding["ok"]:
                click.echo(f"     {finding['remedy']}")
    else:
        show(findings, output)
    if all(finding["ok"] or finding["optional"] for finding in findings):
        return 0
    reached = not cluster or findings[0]["ok"]
    return 1 if reached else ClusterError.exit_code


def _examine_cluster(host: str, namespace: str, context: str) -> list[dict[str, Any]]:
    from ctlr.cluster.checkup import examine_cluster

    findings = examine_cluster(host=host, namespace=namespace, context=context)
    return [asdict(finding) | {"remedy": "" if finding.ok else finding.remedy} for finding in findings]


def examine(workspace: Path) -> list[dict[str, Any]]:
    """Look at everything that a run needs: `what`, `ok`, `found`, `remedy`, and whether a run can do without."""
    return [
        {"what": what, "ok": ok, "found": found, "remedy": "" if ok else remedy, "optional": optional}
        for what, ok, found, remedy, optional in _findings(workspace)
    ]


def _findings(workspace: Path) -> Iterator[tuple[str, bool, str, str, bool]]:
    version = platform.python_version()
    yield "python", sys.version_info >= (3, 11), version, "Install Python 3.11 or newer.", False
    for package in NEEDED:
        yield _package(package, f"pip install {package}", optional=False)
    yield _package("mlflow", "pip install 'ctlr[tracking]', or leave `tracking` at `backend: none`", optional=True)
    yield from _processor()
    yield from _precision()
    yield from _disk(workspace)


def _package(name: str, remedy: str, *, optional: bool) -> tuple[str, bool, str, str, bool]:
    try:
        return name, True, importlib.metadata.version(name), "", optional
    except importlib.metadata.PackageNotFoundError:
        return name, False, "not installed", remedy, optional


def _processor() -> Iterator[tuple[str, bool, str, str, bool]]:
    import torch

    from ctlr.training.placement import cpu_multiplies_bf16

    cores = len(os.sched_getaffinity(0))
    yield "cpu", True, f"{cores} cores, bf16 {'in hardware' if cpu_multiplies_bf16() else 'not in hardware'}", "", False
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = ", ".join(torch.cuda.get_device_name(i) for i in range(gpus)) or "none"
    yield (
        "gpu",
        gpus > 0,
        found,
        "A run on the CPU works; for a GPU install its driver and a CUDA build of torch.",
        True,
    )


def _precision() -> Iterator[tuple[str, bool, str, str, bool]]:
    """What `precision: auto` comes to on this CPU, after a test of every convolution."""
    from ctlr.encoders import build_encoder
    from ctlr.specs import ENCODERS, ComputeSpec, encoder_spec
    from ctlr.training import placement

    if not placement.cpu_multiplies_bf16():
        yield "precision", True, "float32 on the CPU: this processor does not multiply bf16 in hardware", "", False
        return
    shape = (1, SHOWN_SIDE, SHOWN_SIDE, SHOWN_SIDE)
    for name in [name for name, part in ENCODERS.items() if 3 in part.dimensions][:SHOWN]:
        encoder = build_encoder(encoder_spec(name), channels=1, ndim=3, seed=0)
        found = placement.place(encoder, ComputeSpec(), "cpu", shape)
        told = f"{found.name}{'' if found.faulty else f', all {found.convolutions} convolutions'}"
        yield f"precision of {name} at {SHOWN_SIDE}^3", True, told, "", False


def _disk(workspace: Path) -> Iterator[tuple[str, bool, str, str, bool]]:
    place = workspace.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    remedy = "Free some space, or name a workspace on another disk with --workspace."
    yield "disk", free >= ROOM_BYTES, f"{free / 2**30:.1f} GiB free for the workspace", remedy, False
    try:
        with tempfile.TemporaryFile(dir=place):
            writable = True
    except OSError:
        writable = False
    remedy = "Name a folder that you may write with --workspace."
    yield "workspace", writable, "writable" if writable else "cannot be written", remedy, False
