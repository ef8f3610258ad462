"""Commands that Katib's wrapping breaks, and that the others do the same with it as without."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_manifest import PROGRAM, faults_of, read

from ctlr.config import Document
from ctlr.tuning.manifest.fields import Fields
from ctlr.tuning.manifest.wrapping import check_wrapped

COMMAND = 'command: [sh, -c, "echo loss=${trialParameters.x}"]'
ECHO = [sys.executable, "-S", "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]


def wrapped(words: list[str], folder: Path, kind: str = "StdOut") -> list[str]:
    """The container's command as wrapWorkerContainer of Katib 0.19.0 writes it (read there in November 2026)."""
    command, rest = ["sh", "-c"], list(words)
    if words[0] in ("sh", "bash") and words[1] == "-c":
        command, rest = words[:2], words[2:]
    if kind == "StdOut":
        rest.append(f"1>{folder}/metrics.log 2>&1")
    return [*command, " ".join([*rest, "&&", f"echo completed > {folder}/$$.pid"])]


def faults(words: list[str], kind: str = "StdOut", *, filled: bool = False, **values: list[str]) -> list[str]:
    data: dict[str, Any] = {"command": words, "env": [{"name": "HOME_DIR", "value": "/x"}]}
    document = Document("", data, {})
    check_wrapped(Fields(document, data), kind, values, filled=filled)
    return [fault.message for fault in document.faults]


def in_both_places(words: list[str], folder: Path) -> tuple[str, str]:
    """What a command prints by itself, and what Katib's collector finds; the trial must be marked as completed."""
    alone = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    subprocess.run(wrapped(words, folder), check=True, capture_output=True)
    (mark,) = folder.glob("*.pid")
    assert mark.read_text() == "completed\n"
    return alone, (folder / "metrics.log").read_text()


BROKEN = {
    "a parenthesis": (["python3", "-c", "print(1)"], "'print(1)' would not stay a word. Write `[sh, -c, …]`"),
    "a space": (["echo", "loss=1 2"], "'loss=1 2' would not stay a word"),
    "an empty word": (["echo", ""], "'' would not stay a word"),
    "quotes": (["echo", '"a"'], "would not stay a word"),
    "a dollar sign": (["echo", "$HOME"], "would not stay a word"),
    "an unknown variable of the container": (["echo", "$(OTHER)"], "would not stay a word"),
    "a pattern": (["echo", "*.csv"], "would not stay a word"),
    "an assignment for a program": (["LOSS=1", "x"], "would not stay a word"),
    "a shell by its path": (["/bin/sh", "-c", "echo loss=1"], "'echo loss=1' would not stay a word"),
    "a value with a space": (["train", "--kind=${trialParameters.k}"], "'a b', a value of 'k', would not stay a word"),
    "no script": (["sh", "-c"], "without a script. Write the script after `-c`"),
    "an argument of a script": (["sh", "-c", "echo $0", "1"], "Katib hands '1' to the shell as more of its script"),
    "two commands": (["sh", "-c", "echo loss=1; true"], "what those before it print is lost"),
    "two commands, the second where the first succeeds": (["sh", "-c", "echo loss=1 && true"], "is lost"),
    "one command where another fails": (["sh", "-c", "train || echo loss=1"], "is lost"),
    "two lines": (["sh", "-c", "echo loss=1\ntrue"], "is lost"),
    "a line's end": (["sh", "-c", "echo loss=1\n"], "whose last command must not be over"),
    "a command that is over": (["sh", "-c", "echo loss=1;"], "whose last command must not be over"),
    "a command in the background": (["sh", "-c", "echo loss=1 &"], "whose last command must not be over"),
    "a comment": (["sh", "-c", "echo loss=1 # one"], "what stands behind a # is a comment"),
    "exec": (["sh", "-c", "exec echo loss=1"], "after `exec` Katib's shell is gone"),
    "exit in braces": (["sh", "-c", "{ echo loss=1; exit 0; }"], "after `exit` Katib's shell is gone"),
    "an open quote": (["sh", "-c", "echo 'loss=1"], "a quote, a parenthesis or a brace is not closed. Close it"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_katib_would_break_is_refused(case: str) -> None:
    words, told = BROKEN[case]
    (fault,) = faults(words, k=["a", "a b"])
    assert told in fault


RIGHT = {
    "words": [*ECHO[:2], "-V"],
    "an option with a value": ["echo", "--lr=1e-3", "x=1", "a:b/c@d%e+f,g", "^openib", "âge=1"],
    "one command": ["sh", "-c", "echo 'loss=1 # not a comment; really' $((1 + 1))"],
    "a program in quotes": ["sh", "-c", f"{sys.executable} -c \"print('loss=1')\""],
    "a pipe": ["sh", "-c", "echo loss=1 | sed s/1/2/"],
    "errors among the output": ["sh", "-c", "echo loss=1 2>&1"],
    "parentheses": ["sh", "-c", "( echo loss=1; exit 0 )"],
    "parentheses around lines": ["sh", "-c", "(\n  echo loss=1 # one\n  exec echo loss=2\n)"],
    "braces": ["bash", "-c", "{ echo loss=1; echo loss=2; }"],
    "an escaped sign": ["sh", "-c", "echo a\\;b"],
}


@pytest.mark.parametrize("case", RIGHT)
def test_what_passes_prints_the_same_in_both_places(case: str, tmp_path: Path) -> None:
    assert faults(RIGHT[case]) == []
    alone, collected = in_both_places(RIGHT[case], tmp_path)
    assert collected == alone


LOST = ("two commands", "two commands, the second where the first succeeds", "two lines", "an argument of a script")


@pytest.mark.parametrize("case", LOST)
def test_what_is_refused_is_not_the_same_in_both_places(case: str, tmp_path: Path) -> None:
    alone, collected = in_both_places(BROKEN[case][0], tmp_path)
    assert collected != alone


@given(st.lists(st.text("aZ09é _-=./:,@%+^'\"\\$&|;()<>{}*?[]~#!\n", max_size=6), max_size=4))
def test_words_that_pass_arrive_as_they_are(words: list[str]) -> None:
    if faults(["program", *words]):
        return
    joined = subprocess.run(
        ["sh", "-c", " ".join(["printf '%s\\0'", "program", *words])], capture_output=True, text=True, check=True
    )
    assert joined.stdout.split("\0")[1:-1] == words


def test_a_variable_of_the_container_is_filled_in_before_the_shell_reads_it() -> None:
    assert faults(["train", "--out=$(HOME_DIR)/x", "--lr=${trialParameters.lr}"], lr=["0.1"]) == []


@pytest.mark.parametrize("kind", ["Push", "Custom", "PrometheusMetric", "None"])
def test_a_command_that_katib_leaves_alone_may_hold_anything(kind: str) -> None:
    assert faults(["python3", "-c", "print(1)"], kind) == []


@pytest.mark.parametrize("place", ["{{inputs.parameters.epochs}}", "$(params.epochs)", '$(tasks["a.b"].results.n)'])
def test_what_a_workflow_engine_fills_in_is_no_fault_of_a_workflow(place: str) -> None:
    assert faults(["train", f"--epochs={place}"], filled=True) == []
    assert len(faults(["train", f"--epochs={place}"])) == 1


def test_a_file_collector_takes_a_script_of_several_commands_but_no_end_of_it() -> None:
    assert faults(["sh", "-c", "prepare; train --log=/m/log"], "File") == []
    (fault,) = faults(["sh", "-c", "train --log=/m/log\n"], "File")
    assert "whose last command must not be over" in fault


def test_the_fault_of_a_manifest_names_the_line_of_the_word(tmp_path: Path) -> None:
    text = PROGRAM.replace(COMMAND, "command: [python3, -c, \"print(f'loss={${trialParameters.x}}')\"]")
    (fault,) = faults_of(tmp_path, text)
    assert f":{text[: text.index('print')].count(chr(10)) + 1}:" in fault
    assert ".containers.0.command.2: Katib joins the words" in fault
    assert read(tmp_path, PROGRAM).trial.command[:2] == ("sh", "-c")
