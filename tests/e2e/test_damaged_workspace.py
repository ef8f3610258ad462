"""Every file of a finished workspace, damaged in every way: a run makes it anew or names what to remove.

Here a few; all of about nine hundred: `CTLR_DAMAGES=1000 pytest tests/e2e/test_damaged_workspace.py`.
"""

import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from power_cut import benchmark_file, inline, result
from terminal import Finished, call

from ctlr.durable import LIST
from ctlr.errors import CtlrError

DAMAGES = int(os.environ.get("CTLR_DAMAGES", "12"))


def flipped(content: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(content) or 1)
    return content[:place] + bytes([(content[place] if content else 0) ^ 1 << rng.randrange(8)]) + content[place + 1 :]


WAYS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut": lambda content, rng: content[: rng.randrange(len(content) or 1)],
    "flipped": flipped,
    "empty": lambda content, rng: b"",
    "zeros": lambda content, rng: bytes(len(content)),
    "no text": lambda content, rng: bytes(range(256)),
    "nested": lambda content, rng: b"[" * 100_000,
    **{text: lambda content, rng, text=text: text.encode() for text in ("null", "[]", "{}", "7", '"text"', "[null]")},
}
UNCHECKED = re.compile(r"lock|began|claims/.*|logs/.*|cohorts/.*|mlflow\.db|reports/.*\.(md|tex|svg)")
"""What nobody reads, or whoever reads it checks: copies for people, MLflow's own, images under their digests."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("damaged")
    file = benchmark_file(folder, ("transfers:\n", "leaks: {copies: 0.999}\ntransfers:\n"))
    result(file, folder / "workspace")
    return folder


@pytest.fixture(scope="module")
def expected(bench: Path) -> list[dict[str, Any]]:
    return result(bench / "power.yaml", bench / "workspace")


def files(workspace: Path) -> list[Path]:
    """One of each kind: identities and names of trials aside."""
    found = {}
    for path in sorted(workspace.rglob("*")):
        name = str(path.relative_to(workspace))
        if path.is_file() and not UNCHECKED.fullmatch(name):
            found.setdefault(re.sub(r"[0-9a-f]{8,}|\w+-n4", "*", name), path.relative_to(workspace))
    return list(found.values())


def mutants(workspace: Path) -> list[tuple[Path, str, bool]]:
    """File, way, and whether its folder loses its list, as if an older version had made it."""
    rng = random.Random(0)
    every = [(file, way, listed) for file in files(workspace) for way in WAYS for listed in (True, False)]
    every = [each for each in every if each[2] or (workspace / each[0]).with_name(LIST).exists()]
    return rng.sample(every, min(DAMAGES, len(every)))


def refusal(folder: Path, workspace: Path) -> str:
    """What a run says of the workspace; nothing where it ends with the numbers of the one that nobody disturbed."""
    try:
        result(folder / "power.yaml", workspace)
    except CtlrError as error:
        return str(error)
    return ""


def reported(folder: Path, workspace: Path) -> Finished:
    with inline():
        return call("report", "--workspace", str(workspace), folder=folder)


def test_a_damaged_file_is_made_anew_or_named_with_what_to_remove(
    bench: Path, expected: list[dict[str, Any]], tmp_path: Path
) -> None:
    faults = []
    for number, (file, way, listed) in enumerate(mutants(bench / "workspace")):
        workspace = tmp_path / str(number)
        shutil.copytree(bench / "workspace", workspace)
        place = workspace / file
        place.write_bytes(WAYS[way](place.read_bytes(), random.Random(number)))
        if not listed:
            place.with_name(LIST).unlink()
        try:
            fault = tried(bench, workspace, expected)
        except Exception as error:  # noqa: BLE001 (every one is a fault)
            fault = f"a traceback: {error!r}"
        if fault:
            faults.append(f"{file} ({way}, {'listed' if listed else 'not listed'}): {fault}")
        shutil.rmtree(workspace)
    assert not faults, "\n".join(faults)


def tried(bench: Path, workspace: Path, expected: list[dict[str, Any]]) -> str:
    """What is wrong about how a damaged workspace is met; nothing where all is right."""
    shown = reported(bench, workspace)
    if shown.code not in (0, 1, 2) or (shown.code and not shown.err.startswith("Error: ")):
        return f"report ends with {shown.code}: {shown.err}"
    told = refusal(bench, workspace)
    if told:
        folder = re.search(r"(\w+/[0-9a-f]{24}).*[Rr]emove (?:that|the) folder", told)
        marker = re.search(r"Write (\S+: \d+}) into it", told)
        if folder:
            shutil.rmtree(workspace / folder[1])
        elif marker:
            (workspace / "workspace.json").write_text(marker[1])
        else:
            return f"no remedy: {told}"
    found = result(bench / "power.yaml", workspace)
    return "" if found == expected else "other numbers"
