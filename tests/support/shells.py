"""Shells at a terminal of their own, into which a person types: what the tab key makes of a line."""

import contextlib
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

__all__ = ["Typed", "environment", "fish_offers", "shell"]

TAB, SHOW, CLEAR = b"\t", b"\x07", b"\x15"
"""SHOW (Ctrl-G) has the shell print what stands in its line; CLEAR (Ctrl-U) empties it."""

_START = {
    "bash": ("bash --norc --noprofile -i", r"""
        PS1='$ '; unset HISTFILE; bind 'set bell-style none'; bind 'set completion-query-items 0'
        bind 'set page-completions off'; bind 'set show-all-if-ambiguous on'; bind 'set enable-bracketed-paste off'
        bind -x '"\C-g": printf "\n<<%s>>\n" "$READLINE_LINE"'
    """),
    "zsh": ("zsh -f -i", r"""
        PS1='$ '; setopt no_beep no_prompt_sp auto_list; LISTMAX=10000; autoload -Uz compinit; compinit -u -D
        show() { print -rn -- $'\n'"<<$BUFFER>>"$'\n' }; zle -N show
        bindkey -e; bindkey '^G' show; bindkey '^U' kill-whole-line
    """),
}  # fmt: skip


def environment() -> dict[str, str]:
    """With `ctlr` of this environment first, and nothing that a shell would read or colour by."""
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    kept = {name: os.environ[name] for name in ("PYTHONPATH", "HOME", "LANG") if name in os.environ}
    return kept | {"PATH": path, "TERM": "dumb", "COLUMNS": "200"}


class Typed:
    """A shell at a terminal."""

    def __init__(self, name: str, terminal: int) -> None:
        self.name, self._terminal = name, terminal

    def run(self, command: str) -> str:
        """Have a command run, and read until its end."""
        os.write(self._terminal, f"{command}; echo 'en''ded'\n".encode())
        return self._until(r"ended\r?\n[^$]*\$ ")

    def complete(self, begun: str) -> tuple[str, str]:
        """Type a beginning and the tab key.

        Returns:
            The line as it stands then, and all that the shell has shown.
        """
        os.write(self._terminal, begun.encode() + TAB)
        # Keys that come while the shell waits for its function are read after it.
        os.write(self._terminal, SHOW)
        shown = self._until("<<(.*?)>>")
        os.write(self._terminal, CLEAR)
        line = re.findall("<<(.*?)>>", shown, re.DOTALL)[-1]
        return line, shown

    def _until(self, pattern: str, seconds: float = 60) -> str:
        read, deadline = "", time.monotonic() + seconds
        while not re.search(pattern, read, re.DOTALL):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.name} has shown: {read!r}")
            if select.select([self._terminal], [], [], 1)[0]:
                read += os.read(self._terminal, 65536).decode(errors="replace")
        return read


@contextlib.contextmanager
def shell(name: str, folder: Path, script: Path) -> Iterator[Typed]:
    """A bash or zsh in a folder that has read a completion script; skips the test where there is none."""
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here")
    command, settings = _START[name]
    master, slave = pty.openpty()
    process = subprocess.Popen(
        command.split(), cwd=folder, env=environment(), stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        typed = Typed(name, master)
        start = folder / f".start-{name}"
        start.write_text("\n".join(line.strip() for line in settings.splitlines()) + f"\nsource '{script}'\n")
        typed.run(f"source {start.name}")
        yield typed
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(master)


def fish_offers(lines: Sequence[str], folder: Path, script: Path) -> dict[str, list[str]]:
    """What fish would offer for each line, without the words beside; skips the test where there is no fish."""
    if shutil.which("fish") is None:
        pytest.skip("no fish here")
    program = "; ".join([f"source '{script}'", *(f"complete -C '{line}'; echo" for line in lines)])
    done = subprocess.run(
        ["fish", "--no-config", "-c", program],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    offers = done.stdout.split("\n\n")
    found = [[offer.partition("\t")[0] for offer in each.splitlines() if offer] for each in offers]
    return dict(zip(lines, found, strict=False))
