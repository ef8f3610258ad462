"""The command as it was typed, and the machine, without what names a person or a server."""

from __future__ import annotations

import getpass
import shlex
import subprocess
from pathlib import Path

import pytest

from ctlr.config import as_written, homeless, load
from ctlr.outcome.provenance import environment, typed_command


@pytest.fixture
def jane(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The home of a user of that name."""
    home = tmp_path / "homes" / "jane"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(getpass, "getuser", lambda: "jane")
    return home


def test_a_plain_command_stands_as_it_was_typed(jane: Path) -> None:
    typed = "ctlr run study.yaml --workers 2 --set 'seeds=[0, 1]' -w ../work"
    assert typed_command(shlex.split(typed)[1:]) == typed


def test_a_shell_finds_the_home_folder_again_that_nobody_else_can_read(jane: Path) -> None:
    arguments = ["run", f"{jane}/my studies/a.yaml", f"--workspace={jane}/w", "--set", f"datasets.a.root={jane}"]
    typed = typed_command(arguments)
    assert "jane" not in typed
    again = subprocess.run(["sh", "-c", f"printf '%s\\n' {typed}"], capture_output=True, text=True, check=True)
    assert again.stdout.splitlines() == ["ctlr", *arguments]


@pytest.mark.parametrize(
    ("argument", "shown"),
    [
        ("/home/otto/data/a.yaml", "'/home/…/data/a.yaml'"),
        ("/Users/otto/a.yaml", "'/Users/…/a.yaml'"),
        ("/data/jane/a.yaml", "'/data/…/a.yaml'"),
        ("/data/janet/a.yaml", "/data/janet/a.yaml"),
        ("studies/jane/a.yaml", "studies/jane/a.yaml"),
        ("--set=tracking.uri=http://jane:secret@host/", "'--set=tracking.uri=…'"),
        ("https://host/a?token=secret", "…"),
    ],
)
def test_other_homes_users_and_servers_are_hidden(jane: Path, argument: str, shown: str) -> None:
    assert typed_command([argument]) in (f"ctlr {shown}", f"ctlr '{shown}'")


def test_what_is_set_of_servers_clusters_and_leaks_is_hidden(jane: Path) -> None:
    typed = typed_command(["run", "a.yaml", "--set", "leaks.accept=[[sub-XYZZY, sub-b]]", "--set", "seeds=[0]"])
    assert typed == "ctlr run a.yaml --set 'leaks.accept=…' --set 'seeds=[0]'"


@pytest.mark.parametrize(
    ("path", "written"),
    [("/work/study/data/a", "data/a"), ("/work/study/../a", "../a"), ("/work/study", "."), ("/mnt/data", "/mnt/data"),
     ("/home/otto/data", "/home/…/data")],
)  # fmt: skip
def test_a_root_is_as_its_file_has_it(jane: Path, path: str, written: str) -> None:
    assert as_written(path, Path("/work/study")) == written


def test_a_root_in_the_home_folder_is_read_back_to_the_same_place(jane: Path) -> None:
    written = as_written(f"{jane}/data", Path("/work/study"))
    assert written == "~/data"
    assert Path(written).expanduser() == jane / "data"


def test_a_file_above_the_home_folder_does_not_say_whose_that_is(jane: Path) -> None:
    assert as_written(f"{jane}/data", jane.parents[1]) == "~/data"


def test_a_text_without_paths_stays_as_it_is(jane: Path) -> None:
    text = "jane's data and/or homes: 3/4 at 10:30"
    assert homeless(text) == text


def test_the_machine_is_described_without_its_name(tiny_file: Path) -> None:
    found = environment(load(tiny_file), tiny_file.parent)
    assert int(found["cores"]) >= 1
    assert found["half precision"]
    assert len(found["ctlr_code"].removeprefix("sha256 ")) == 16
    assert "kernel" in found["system"]
    name = subprocess.run(["uname", "-n"], capture_output=True, text=True, check=True).stdout.strip()
    assert name not in " ".join(found.values())


def test_gpus_are_named_with_their_driver(tiny_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf 'NVIDIA H100 80GB HBM3, 570.86.15\\nNVIDIA H100 80GB HBM3, 570.86.15\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = environment(load(tiny_file), tiny_file.parent)
    assert (found["gpu"], found["gpu_driver"]) == ("2 x NVIDIA H100 80GB HBM3", "570.86.15")
    tool.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed' >&2; exit 9\n")
    assert "gpu" not in environment(load(tiny_file), tiny_file.parent)
