"""Lines that stay at the bottom of a real terminal, whatever is said above them."""

import os
import pty
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TextIO

import pytest
from glass import Glass, resize
from rich.text import Text

from ctlr.display._memory import resident
from ctlr.display._screen import Screen


@dataclass
class Terminal:
    """A terminal whose end this process writes to as its stderr."""

    glass: Glass
    end: int
    stream: TextIO
    patch: pytest.MonkeyPatch
    lines: list[str] = field(default_factory=lambda: ["bar", "worker"])

    def draw(self, width: int, height: int) -> list[Text]:
        return [Text(line) for line in self.lines]

    def screen(self) -> Screen:
        """One that writes to it; pytest's own stderr comes back before the test begins."""
        self.patch.setattr(sys, "stderr", self.stream)
        return Screen(self.draw)

    def read(self) -> Glass:
        """What stands there."""
        while select.select([self.end], [], [], 0.05)[0]:
            self.glass.feed(os.read(self.end, 2**16).decode())
        return self.glass

    def until(self, condition: Callable[[Glass], bool]) -> Glass:
        deadline = time.monotonic() + 20
        while not condition(self.read()):
            assert time.monotonic() < deadline, self.glass.shown
        return self.glass


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    end, inner = pty.openpty()
    resize(inner, 40, 10)
    stream = open(inner, "w", buffering=1)  # noqa: SIM115 (closed below)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    yield Terminal(Glass(40, 10), end, stream, monkeypatch)
    stream.close()
    os.close(end)


def test_what_is_said_stays_above_the_lines_and_nothing_of_it_is_lost(terminal: Terminal) -> None:
    with terminal.screen() as screen:
        for number in range(30):
            screen.say(f"step {number}")
        assert terminal.until(lambda glass: glass.shown[-1:] == ["worker"]).shown[-3:] == ["step 29", "bar", "worker"]
    assert [line for line in terminal.read().everything if line] == [f"step {number}" for number in range(30)]


def test_a_screen_may_be_entered_again(terminal: Terminal) -> None:
    screen = terminal.screen()
    for word in ("first", "second"):
        with screen:
            screen.say(word)
            terminal.until(lambda glass, word=word: glass.shown[-3:] == [word, "bar", "worker"])  # type: ignore[misc]
    assert terminal.read().shown == ["first", "second", ""]


def test_a_long_line_is_whole(terminal: Terminal) -> None:
    reason = "the loss became nan " * 6
    with terminal.screen() as screen:
        screen.say(reason)
        terminal.until(lambda glass: "worker" in glass.shown)
    assert "".join(line.ljust(40) for line in terminal.read().everything).startswith(reason)


def test_a_reason_of_several_lines_is_whole(terminal: Terminal) -> None:
    with terminal.screen() as screen:
        screen.say(Text("FAILED: two faults\n- one\n- two", style="red"))
        terminal.until(lambda glass: glass.shown == ["FAILED: two faults", "- one", "- two", "bar", "worker"])


def test_lines_that_have_not_changed_are_not_drawn_again(terminal: Terminal) -> None:
    with terminal.screen():
        terminal.until(lambda glass: "worker" in glass.shown)
        time.sleep(0.6)
        assert not select.select([terminal.end], [], [], 0)[0]


def test_a_frame_with_fewer_lines_leaves_nothing_of_the_last_one(terminal: Terminal) -> None:
    with terminal.screen():
        terminal.until(lambda glass: "worker" in glass.shown)
        terminal.lines = ["b"]
        assert terminal.until(lambda glass: "b" in glass.shown).shown == ["b"]


def test_a_terminal_that_becomes_narrower_keeps_what_stands_above(terminal: Terminal) -> None:
    terminal.lines = ["bar " * 9, "worker " * 5]
    with terminal.screen() as screen:
        screen.say("above")
        terminal.until(lambda glass: any("worker" in line for line in glass.shown))
        resize(terminal.stream.fileno(), 20, 10)
        again = Glass(20, 10)  # a terminal that breaks lines anew
        for line in terminal.glass.shown:
            again.feed(line + "\r\n")
        again.lines.pop()
        again.row = len(again.lines) - 2  # the cursor stays with its cell, where the last line begins
        terminal.glass, terminal.lines = again, ["bar", "worker"]
        assert terminal.until(lambda glass: "bar" in glass.shown).shown == ["above", "bar", "worker"]


def test_what_the_keyboard_echoes_shifts_nothing(terminal: Terminal) -> None:
    terminal.lines = ["bar", "w" * 39]
    with terminal.screen() as screen:
        terminal.until(lambda glass: "bar" in glass.shown)
        terminal.glass.feed("^C")
        screen.say("ending")
        terminal.lines = ["bar", "worker"]
        assert terminal.until(lambda glass: "worker" in glass.shown).shown == ["ending", "bar", "worker"]


def test_what_others_print_to_stderr_stands_above_too(terminal: Terminal) -> None:
    with terminal.screen():
        terminal.until(lambda glass: "worker" in glass.shown)
        print("a library warns", file=sys.stderr)
        print("unfinished", end="", file=sys.stderr)
        assert terminal.until(lambda glass: len(glass.shown) > 2).shown == ["a library warns", "bar", "worker"]
    assert terminal.read().shown == ["a library warns", "unfinished", ""]
    assert sys.stderr is terminal.stream


def test_several_threads_may_speak(terminal: Terminal) -> None:
    with terminal.screen() as screen:
        speakers = [
            threading.Thread(target=lambda name=name: [screen.say(f"{name}{each}") for each in range(20)])
            for name in "ab"
        ]
        for speaker in speakers:
            speaker.start()
        for speaker in speakers:
            speaker.join()
    said = [line for line in terminal.read().everything if line]
    assert [line for line in said if line[0] == "a"] == [f"a{each}" for each in range(20)]
    assert len(said) == 40


@pytest.mark.parametrize("name", ["dumb", "unknown", ""])
def test_a_dumb_terminal_gets_plain_lines(name: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", name)
    with terminal.screen() as screen:
        screen.say(Text("failed", style="red"))
        time.sleep(0.4)
    assert terminal.read().shown == ["failed", ""]
    assert not terminal.glass.coloured


def test_colours_are_left_out_where_nobody_wants_them(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal.screen() as screen:
        screen.say(Text("failed", style="red"))
        assert terminal.until(lambda glass: "failed" in glass.shown).coloured
        terminal.glass.coloured = False
        monkeypatch.setenv("NO_COLOR", "1")
        screen.say(Text("again", style="red"))
        assert not terminal.until(lambda glass: "again" in glass.shown).coloured


def test_a_stream_that_nobody_reads_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    stream = open(theirs, "w", buffering=1)  # noqa: SIM115 (closed below)
    monkeypatch.setattr(sys, "stderr", stream)
    with Screen(lambda width, height: []) as screen:
        screen.say("nobody hears")
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # what it could not write
    stream.close()


def test_memory_is_that_of_this_process_at_least() -> None:
    assert 10e6 < resident(os.getpid()) < 100e9
    assert resident(2**22 + 1) == 0
