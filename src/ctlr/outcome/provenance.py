"""Where results come from: the command, versions, commit, code and machine, without names, dates or users' folders."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import ctlr
from ctlr.config import BenchmarkConfig, homeless, plugins_of

__all__ = ["environment", "typed_command"]

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "nibabel", "isal", "safetensors", "pydantic")

_HALVES = ("avx512_bf16", "avx512_fp16", "amx_bf16", "amx_fp16")
"""Of a processor's flags, those by which `precision: auto` and its kernels are chosen."""
_SERVER = re.compile(r"[A-Za-z][\w+.-]*://\S*")
_HIDDEN_KEYS = ("tracking.", "platform.", "leaks.", "tuning.warm_start")
"""Of `--set`: addresses, folders of a cluster, subjects."""
_HIDDEN = "…"


def environment(config: BenchmarkConfig, folder: Path) -> dict[str, str]:
    """Package versions, hashes of plug-ins and of CTLR's code, the git commit of a folder, system and processor.

    Args:
        config: The benchmark; names its plug-ins.
        folder: Of the benchmark file; `git_commit` is left out where it is no repository.
    """
    found = {"ctlr": ctlr.__version__, "ctlr_code": f"sha256 {_code_hash()}", "python": platform.python_version()}
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
    found["system"] = _system()
    return found | _processor() | _gpus()


def typed_command(arguments: Sequence[str]) -> str:
    """A command as it was typed, quoted for a shell, without what names its user, a server or a subject.

    The home folder is written `"$HOME"`, so that a shell finds it again; another user's, and folders that bear this
    user's name, cannot be found again. What `--set` says of tracking, platform and leaks is left out, as it is of
    the file.

    Args:
        arguments: Of `ctlr`.
    """
    hidden = [_without_secrets(argument, before) for before, argument in zip(["", *arguments], arguments, strict=False)]
    return " ".join(["ctlr", *map(_quoted, hidden)])


def _without_secrets(argument: str, before: str) -> str:
    option, _, setting = argument.partition("=") if argument.startswith("--set=") else ("", "", argument)
    key, equals, _ = setting.partition("=")
    if (option or before == "--set") and equals and key.startswith(_HIDDEN_KEYS):
        return f"{f'{option}=' if option else ''}{key}={_HIDDEN}"
    return _SERVER.sub(_HIDDEN, argument)


def _quoted(argument: str) -> str:
    """For a shell, home folders as a word that it replaces."""
    first, *rest = homeless(argument, home="\0").split("\0")
    if not rest:
        return shlex.quote(first)
    return "".join((first and shlex.quote(first), *(f'"$HOME"{part and shlex.quote(part)}' for part in rest)))


@cache
def _code_hash() -> str:
    """Of all Python code of CTLR: 16 hexadecimal digits; two checkouts of one version may differ."""
    home = Path(ctlr.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(home.rglob("*.py")):
        digest.update(f"{file.relative_to(home)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _git(folder: Path, *words: str) -> str:
    return _answer("git", "-C", str(folder), *words)


def _answer(*words: str) -> str:
    """What a program prints; nothing where it fails."""
    try:
        answer = subprocess.run(words, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def _system() -> str:
    """Distribution and kernel; not the machine's name."""
    try:
        named = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        named = platform.system()
    return f"{named}, kernel {platform.release()}"


def _processor() -> dict[str, str]:
    """Model, cores that may be used, and which numbers of half precision it multiplies."""
    cores = {"cores": str(len(os.sched_getaffinity(0)))}
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return {"processor": platform.processor()} | cores
    named = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    flags = named.get("flags", "").split()
    halves = ", ".join(flag for flag in _HALVES if flag in flags) or "none: float32 on the CPU"
    return {"processor": named.get("model name", platform.processor())} | cores | {"half precision": halves}


def _gpus() -> dict[str, str]:
    """Names and driver of NVIDIA's; nothing without one."""
    if shutil.which("nvidia-smi") is None:
        return {}
    lines = _answer("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").splitlines()
    found = [[part.strip() for part in line.split(",")] for line in lines if line.count(",") == 1]
    if not found:
        return {}
    names, drivers = (list(dict.fromkeys(column)) for column in zip(*found, strict=True))
    return {"gpu": f"{len(found)} x {', '.join(names)}", "gpu_driver": ", ".join(drivers)}
