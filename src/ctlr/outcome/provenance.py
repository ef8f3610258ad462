"""Where results come from: versions, commit and machine, without names, dates or paths."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path

from ctlr import __version__
from ctlr.config import BenchmarkConfig, plugins_of

__all__ = ["environment"]

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "nibabel", "isal", "safetensors", "pydantic")


def environment(config: BenchmarkConfig, folder: Path) -> dict[str, str]:
    """Package versions, hashes of plug-ins, the git commit of a folder, platform and processor.

    Args:
        config: The benchmark; names its plug-ins.
        folder: Of the benchmark file; `git_commit` is left out where it is no repository.
    """
    found = {"ctlr": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    found |= {f"plug-in {plugin.name}": f"sha256 {plugin.sha256}" for plugin in plugins_of(config)}
    commit = _git(folder, "rev-parse", "HEAD")
    if commit:
        found["git_commit"] = commit + (" with uncommitted changes" if _git(folder, "status", "--porcelain") else "")
    found["platform"] = f"{platform.system()} {platform.machine()}"
    found["processor"] = _processor()
    return found


def _git(folder: Path, *words: str) -> str:
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
