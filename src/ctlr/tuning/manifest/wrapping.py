"""What Katib's webhook makes of a trial's command, and which commands it breaks.

To see a trial's output and its end, Katib 0.19 (pkg/webhook/v1beta1/pod/utils.go, wrapWorkerContainer) replaces the
primary container's command by `sh -c "WORDS 1>metrics.log 2>&1 && echo completed > PID.pid"`: the words of `command`
and `args`, joined by spaces and not quoted. Of `[sh, -c, SCRIPT]` it takes the script for the words. On a laptop the
words run as they are. What passes here does the same in both places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ctlr.config import KeyPath
from ctlr.tuning.manifest.fields import Fields

__all__ = ["FILLED", "PLACE", "WRAPPED", "check_wrapped"]

PLACE = re.compile(r"\$\{trialParameters\.(.+?)\}")
"""Where a trial's value goes."""
WRAPPED = ("StdOut", "File", "TensorFlowEvent")
"""Collectors for whose sake a command is wrapped."""
FILLED = re.compile(r"\{\{[^{}]*\}\}|\$\(\w+[.\[][^()]*\)")
"""What Argo and Tekton fill in before a pod is made."""
_VARIABLE = re.compile(r"\$\(([^)]*)\)")
_WORD = re.compile(r"[\w@%+=:,./^-]+")
"""What a shell reads as itself."""
_SHELLS = ("sh", "bash")
_LEAVES = re.compile(r"(?:^|[;&|\n{])\s*(exec|exit)\b")


def check_wrapped(
    container: Fields, collector: str, values: Mapping[str, Sequence[str]], *, filled: bool = False
) -> None:
    """Note the words of a container's command that Katib's shell would read in another way.

    Args:
        container: The one that trains.
        collector: Kind of the metrics collector.
        values: Texts that may stand in the place of a trialParameter, by its name.
        filled: Whether a workflow engine fills in its own places first.
    """
    words = [
        ((*container.where, key, index), FILLED.sub("1", word) if filled else word)
        for key in ("command", "args")
        for index, word in enumerate(container.texts(key))
    ]
    if collector not in WRAPPED or not container.texts("command"):
        return
    if words[0][1] not in _SHELLS or (len(words) > 1 and words[1][1] != "-c"):
        known = [entry.text("name") for entry in container.items("env")]
        for number, (where, word) in enumerate(words):
            _check_word(container, where, word, known, values, first=number == 0)
        return
    if len(words) < 3:
        rule = f"Katib breaks off at {' '.join(word for _, word in words)!r} without a script"
        container.document.fault(words[-1][0], f"{rule}. Write the script after `-c`.")
        return
    if len(words) > 3:
        rule = f"Katib hands {words[3][1]!r} to the shell as more of its script, and a laptop as an argument of it"
        container.document.fault(words[3][0], f"{rule}. Write it into the script.")
    _check_script(container, *words[2], redirected=collector == "StdOut")


def _check_word(
    container: Fields, where: KeyPath, word: str, known: Sequence[str], values: Mapping[str, Sequence[str]], *,
    first: bool,
) -> None:  # fmt: skip
    plain = PLACE.sub("1", _VARIABLE.sub(lambda match: "1" if match[1] in known else match[0], word))
    if _stays(plain) and not (first and "=" in plain):
        for name in PLACE.findall(word):
            if broken := [value for value in values.get(name, ()) if not _stays(value)]:
                rule = (
                    f"Katib's shell reads it without quotes; {broken[0]!r}, a value of {name!r}, would not stay a word"
                )
                container.document.fault(where, f"{rule}. {_REMEDY}")
        return
    rule = f"Katib joins the words of a command for a shell and quotes none; {word!r} would not stay a word"
    container.document.fault(where, f"{rule}. {_REMEDY}")


_REMEDY = "Write `[sh, -c, …]` with quotes of its own inside, or a program in the image that needs none."


def _stays(word: str) -> bool:
    """Whether a shell reads a bare word as itself."""
    return bool(_WORD.fullmatch(word))


def _check_script(container: Fields, where: KeyPath, script: str, *, redirected: bool) -> None:
    """A script to which ` 1>metrics.log 2>&1 && echo completed > PID.pid` is added must do as much as before."""
    plain = PLACE.sub("1", script).lstrip()
    outside, closed = _outside(plain, "({")
    shell, _ = _outside(plain, "(")
    remedy = "Write the whole script in parentheses, `( … )`, with nothing after them"
    if not closed:
        rule, remedy = "a quote, a parenthesis or a brace is not closed", "Close it"
    elif leaves := _LEAVES.search(shell):
        rule = f"after `{leaves[1]}` Katib's shell is gone, and cannot say that the trial is completed"
    elif re.search(r"(?:^|\s)#", outside):
        rule = "Katib writes behind the script's last line, and what stands behind a # is a comment"
    elif re.search(r"[;&|\\\n]\s*$", outside):
        rule = "Katib writes ` 1>metrics.log 2>&1 && …` behind the script, whose last command must not be over"
    elif redirected and re.search(r"[;&\n]|\|\|", outside):
        rule = "Katib collects what a script's last command prints; what those before it print is lost"
    else:
        return
    container.document.fault(where, f"{rule}. {remedy}.")


def _outside(script: str, groups: str) -> tuple[str, bool]:
    """The script without redirections and what stands in quotes and groups, and whether all of these are closed."""
    script = re.sub(r"\d*[<>]&[\d-]*|&>", "", script)
    found, open_groups, quote, index = "", "", "", 0
    while index < len(script):
        sign, after = script[index], script[index + 1 : index + 2]
        if sign == "\\" and quote != "'" and after:
            index += 1
        elif quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"`":
            quote = sign
        elif sign == "(" or (sign == "{" and sign in groups and after.isspace()):
            open_groups += sign
        elif open_groups and sign == {"(": ")", "{": "}"}[open_groups[-1]]:
            open_groups = open_groups[:-1]
        elif sign == ")":
            return found, False
        elif not open_groups:
            found += sign
        index += 1
    return found, not quote and not open_groups
