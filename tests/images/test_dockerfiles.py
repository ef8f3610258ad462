"""What every Dockerfile keeps, read from its text; tests/images/test_cpu_image.py builds one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import ctlr

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "images").glob("*.Dockerfile"))
SERVING = {"mlflow", "serving", "suggestion"}


def stages(path: Path) -> list[str]:
    """Text of each stage, comments and continued lines taken out."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return re.split(r"^(?=FROM )", text, flags=re.MULTILINE)


@pytest.fixture(params=DOCKERFILES, ids=lambda path: path.stem)
def dockerfile(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_are_five_images() -> None:
    assert [path.stem for path in DOCKERFILES] == ["cpu", "gpu", "mlflow", "serving", "suggestion"]


def test_the_base_is_an_argument_with_an_exact_default(dockerfile: Path) -> None:
    head, *rest = stages(dockerfile)
    assert re.search(r"^ARG BASE=docker\.io/library/python:3\.11\.\d+-slim-bookworm$", head, re.MULTILINE)
    assert [stage.split("\n", 1)[0] for stage in rest] == ["FROM ${BASE} AS build", "FROM ${BASE}"]


def test_the_last_stage_installs_nothing(dockerfile: Path) -> None:
    last = stages(dockerfile)[-1]
    assert re.findall(r"\b(?:pip|apt-get|apt|curl|wget|gcc)\b", last) == []
    assert "COPY --from=build /opt/ctlr /opt/ctlr" in last


def test_what_is_installed_is_pinned(dockerfile: Path) -> None:
    installs = re.findall(r"pip install (.+?)(?:&&|$)", stages(dockerfile)[1], re.MULTILINE)
    assert installs
    assert all("--constraint constraints.txt" in each or "--no-deps" in each for each in installs)


def test_it_runs_as_no_root_and_writes_to_tmp_alone(dockerfile: Path) -> None:
    last = stages(dockerfile)[-1]
    assert re.search(r"^USER 10001$", last, re.MULTILINE)
    assert {"HOME=/tmp", "TMPDIR=/tmp", "PYTHONDONTWRITEBYTECODE=1"} <= set(last.split())


def test_labels_say_what_it_is(dockerfile: Path) -> None:
    last = stages(dockerfile)[-1]
    for key in ("title", "description", "version", "revision", "licenses"):
        assert f"org.opencontainers.image.{key}=" in last
    assert f"ARG VERSION={ctlr.__version__}" in last
    assert f"\nVERSION  = {ctlr.__version__}\n" in (ROOT / "Makefile").read_text()


def test_servers_have_a_health_check(dockerfile: Path) -> None:
    assert ("HEALTHCHECK" in stages(dockerfile)[-1]) == (dockerfile.stem in SERVING)


@pytest.mark.parametrize("name", ["cpu", "gpu", "serving"])
def test_torch_comes_first_and_from_its_own_index(name: str) -> None:
    build = stages(ROOT / "images" / f"{name}.Dockerfile")[1]
    index = {"cpu": "cpu", "gpu": "cu130", "serving": "cpu"}[name]
    assert f"ARG TORCH_INDEX=https://download.pytorch.org/whl/{index}" in build
    first = re.findall(r"pip install (.+)", build)[0]
    assert first.split()[-2:] == ["torch", "torchvision"]


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_trials_find_their_files_and_the_workspace(name: str) -> None:
    last = stages(ROOT / "images" / f"{name}.Dockerfile")[-1]
    assert re.search(r"CTLR_WORKSPACE=/workspace\b", last)
    assert "WORKDIR /srv/ctlr\nCOPY benchmarks benchmarks\nCOPY katib katib" in last
    (experiment,) = [YAML(typ="safe").load(ROOT / "katib" / "scratch-random.yaml")]
    (container,) = experiment["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"]
    assert {"name": "workspace", "mountPath": "/workspace"} in container["volumeMounts"]


def test_both_ctlr_images_differ_in_what_they_compute_on_alone() -> None:
    cpu, gpu = ((ROOT / "images" / f"{name}.Dockerfile").read_text().splitlines() for name in ("cpu", "gpu"))
    assert len(cpu) == len(gpu)
    differing = [one for one, other in zip(cpu, gpu, strict=True) if one != other and not one.startswith("#")]
    assert len(differing) == 5, differing  # the index and its check, two labels, NVIDIA's variables


def test_what_the_suggestion_service_needs_is_declared() -> None:
    text = (ROOT / "images" / "suggestion.Dockerfile").read_text()
    installed = set(re.findall(r"^    (numpy .+)$", text, re.MULTILINE)[0].split())
    printed = subprocess.run(
        [sys.executable, str(ROOT / "images" / "requirements.py"), "suggest"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert installed <= {re.split(r"[\[<>=]", line)[0] for line in printed.split()}


def test_mlflows_extras_are_pinned_here_or_in_the_constraints() -> None:
    pinned = {line.split("==")[0].lower() for line in (ROOT / "constraints.txt").read_text().splitlines()}
    lines = [line for line in (ROOT / "images" / "mlflow.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all("==" in line or line.split("[")[0] in pinned for line in lines)


def test_the_build_context_holds_what_images_copy_and_no_more() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        word.split("/")[0]
        for path in DOCKERFILES
        for line in re.findall(r"^COPY (?!--from)(.+)$", path.read_text(), re.MULTILINE)
        for word in line.split()[:-1]
    }
    assert "*" in ignored
    assert {name.split("/")[0] for name in kept} == copied
    assert "benchmarks/*/*" in ignored  # folders there are data that a user has put beside the files
