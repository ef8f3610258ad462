"""The cpu image, built and run as a cluster runs it: an arbitrary uid, a read-only root, no network.

Needs podman or docker and an image with Python 3.11 and venv to build on:

    CTLR_TEST_BASE          that image, e.g. localhost/python:3.11-bookworm
    CTLR_TEST_BUILD         more options of the build, e.g. --isolation chroot --volume /etc/pip.conf:/etc/pip.conf:ro
    CTLR_TEST_TORCH_INDEX   index that torch comes from, where PyTorch's own is out of reach
"""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from tiny_bench import TINY

import ctlr

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/ctlr-cpu:test"
ENGINE = shutil.which("podman") or shutil.which("docker")
BASE = os.environ.get("CTLR_TEST_BASE", "")

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not (ENGINE and BASE), reason="needs podman or docker, and CTLR_TEST_BASE: a base image"),
]


@pytest.fixture(scope="module")
def image() -> str:
    index = os.environ.get("CTLR_TEST_TORCH_INDEX")
    subprocess.run(
        [
            str(ENGINE), "build", "--file", "images/cpu.Dockerfile", "--tag", IMAGE, "--build-arg", f"BASE={BASE}",
            *(["--build-arg", f"TORCH_INDEX={index}"] if index else []),
            *shlex.split(os.environ.get("CTLR_TEST_BUILD", "")), ".",
        ],
        cwd=ROOT, check=True, timeout=1800,
    )  # fmt: skip
    return IMAGE


def run(image: str, *words: str, options: tuple[str, ...] = (), user: str = "54321:0") -> str:
    """Run a container that may write to /tmp and the workspace alone; what it prints."""
    done = subprocess.run(
        [
            str(ENGINE), "run", "--rm", "--read-only", "--user", user, "--cap-drop", "all", "--network", "none",
            "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:rw,mode=1777", "--tmpfs", "/workspace:rw,mode=1777",
            *options, image, *words,
        ],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_doctor_finds_all_that_a_run_needs(image: str) -> None:
    printed = run(image, "doctor")
    assert "BAD" not in printed
    assert "ok   workspace: writable" in printed


def test_a_benchmark_runs_to_its_report(image: str, tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(TINY.replace("[6, 10]", "[6]").replace("simclr: {}, vat: {}", ""))
    tmp_path.chmod(0o755)
    printed = run(image, "run", "/srv/tiny.yaml", options=("--volume", f"{file}:/srv/tiny.yaml:ro"))
    assert "Report: /workspace/reports/tiny/report.html" in printed


def test_the_benchmarks_that_ship_are_there(image: str) -> None:
    assert "benchmarks/brain-age.yaml: ok" in run(image, "check", "benchmarks/brain-age.yaml")


def test_no_tools_to_build_with_are_left(image: str) -> None:
    left = 'import shutil; print([name for name in ("gcc", "cc", "git", "make") if shutil.which(name)])'
    assert run(image, "-c", left, options=("--entrypoint", "python")).strip() == "[]"
    found = 'import importlib.util as u; print([name for name in ("pip", "setuptools") if u.find_spec(name)])'
    assert run(image, "-c", found, options=("--entrypoint", "python")).strip() == "[]"


def test_labels_tell_the_version(image: str) -> None:
    asked = [str(ENGINE), "inspect", "--format", '{{index .Config.Labels "org.opencontainers.image.version"}}', image]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == ctlr.__version__
