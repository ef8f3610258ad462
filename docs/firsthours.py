"""Make the strips of docs/first-hour.md from three real first hours: `python docs/firsthours.py` (12 minutes).

A terminal (bash in a pseudo-terminal, read by pyte) is typed into as a newcomer would; the reports open in Chromium:

- `scans`: 200 synthetic T1 volumes in a BIDS folder;
- `clothes`: 1,000 pictures of Fashion-MNIST (Debian's dataset-fashion-mnist), one folder a kind;
- `clinic`: images that lie in no layout that CTLR knows, until a table names them.

`python docs/firsthours.py scans` makes one alone. Times count from the first key of the first command.
`python docs/firsthours.py beside OLD NEW` makes docs/report-560.png of two reports of benchmarks/pairs.yaml.
"""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent / "tests" / "support"), str(DOCS)]

from chromium import Chromium  # noqa: E402 (it lies with the tests)
from filmstrips import join, write_clothes  # noqa: E402 (it lies beside this file)

COLUMNS, ROWS = 108, 32
WIDTH, HEIGHT = 1100, 760
PROMPT = "$ "
COLOURS = {
    "black": "#1c2128", "red": "#ff7b72", "green": "#56d364", "brown": "#e3b341", "blue": "#79c0ff",
    "magenta": "#d2a8ff", "cyan": "#56d4dd", "white": "#e6edf3", "default": "#e6edf3",
}  # fmt: skip


class Terminal:
    """Bash before a screen of 108 x 32 characters.

    Args:
        folder: Where it starts.
    """

    def __init__(self, folder: Path) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)
        self._bash = pexpect.spawn(
            "bash", ["--norc", "--noprofile"], cwd=str(folder), dimensions=(ROWS, COLUMNS), timeout=900, echo=True,
            env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PS1": PROMPT, "TERM": "xterm-256color",
                 "LANG": "C.UTF-8", "HOME": str(folder)},
        )  # fmt: skip
        self._listen(lambda: self._idle)

    @property
    def _idle(self) -> bool:
        """Whether bash waits for a command."""
        return self._screen.display[self._screen.cursor.y].rstrip() == PROMPT.rstrip()

    @property
    def text(self) -> str:
        """What is to be seen."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def _listen(self, until: Callable[[], bool], seconds: float = 900) -> None:
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"waited too long:\n{self.text}"
            try:
                self._stream.feed(self._bash.read_nonblocking(65536, timeout=0.05))
            except pexpect.TIMEOUT:
                continue

    def type(self, command: str) -> None:
        """Enter a command; it goes on."""
        self._bash.send(command)
        self._listen(lambda: self._screen.display[self._screen.cursor.y].rstrip().endswith(command[-20:]), 30)
        self._bash.send("\r")

    def finish(self) -> None:
        """Wait until the command has ended."""
        self._listen(lambda: self._idle)

    def wait(self, seconds: float) -> None:
        """Look on for a while."""
        end = time.monotonic() + seconds
        self._listen(lambda: time.monotonic() >= end, seconds + 1)

    def page(self) -> str:
        """The screen as HTML."""
        rows = []
        for row in range(ROWS):
            line, cells = "", self._screen.buffer[row]
            for column in range(COLUMNS):
                cell = cells[column]
                style = f"color:{COLOURS.get(cell.fg, f'#{cell.fg}')};" + ("font-weight:700;" if cell.bold else "")
                if cell.bg != "default":
                    style += f"background:{COLOURS.get(cell.bg, f'#{cell.bg}')};"
                line += f"<span style='{style}'>{html.escape(cell.data)}</span>"
            rows.append(line)
        return (
            "<!doctype html><meta charset=utf-8><style>body{margin:0;background:#0d1117}"
            f"pre{{margin:18px;font:{(WIDTH - 40) / COLUMNS / 0.602:.2f}px/1.28 'DejaVu Sans Mono',monospace}}</style>"
            f"<pre>{chr(10).join(rows)}</pre>"
        )


class Strip:
    """Frames of a first hour, each with what it shows and when.

    Args:
        folder: Where frames lie until they are joined.
        browser: Takes the pictures.
    """

    def __init__(self, folder: Path, browser: Chromium) -> None:
        self._folder, self._browser = folder, browser
        self._frames: list[tuple[str, Path]] = []
        self._began = time.monotonic()
        folder.mkdir(parents=True)

    def start(self) -> None:
        """The clock."""
        self._began = time.monotonic()

    def terminal(self, terminal: Terminal, what: str) -> None:
        """A frame of the terminal."""
        seconds = time.monotonic() - self._began
        page = self._folder / "terminal.html"
        page.write_text(terminal.page())
        self._take(seconds, what, page.as_uri())

    def report(self, page: Path, what: str, after: str = "") -> None:
        """A frame of a report."""
        self._take(time.monotonic() - self._began, what, page.as_uri(), after)

    def _take(self, seconds: float, what: str, address: str, after: str = "") -> None:
        self._browser.resize(WIDTH, HEIGHT)
        self._browser.open(address)
        if after:
            self._browser.ask(after)
        time.sleep(0.5)
        file = self._folder / f"{len(self._frames)}.png"
        self._browser.picture(file)
        self._frames.append((f"{int(seconds) // 60}:{int(seconds) % 60:02} {what}", file))

    def join(self, out: Path) -> None:
        """All in one picture."""
        join(self._browser, self._frames, out)


def main() -> None:
    """All strips, or the ones that are named."""
    if sys.argv[1:2] == ["beside"]:
        beside(*map(Path, sys.argv[2:]))
        return
    stories = {"scans": scans, "clothes": clothes, "clinic": clinic}
    for name in sys.argv[1:] or stories:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            browser = Chromium(folder / "profile")
            try:
                strip = Strip(folder / "frames", browser)
                (folder / "desk").mkdir()
                stories[name](folder / "desk", strip)
                strip.join(DOCS / f"first-hour-{name}.png")
            finally:
                browser.close()


def scans(desk: Path, strip: Strip) -> None:
    """Two commands on 200 volumes in a BIDS folder."""
    subprocess.run([sys.executable, "-m", "ctlr", "cohort", "study", "--subjects", "200"], cwd=desk, check=True)
    _two_commands(desk, strip, "study")


def clothes(desk: Path, strip: Strip) -> None:
    """Two commands on 1,000 pictures."""
    write_clothes(desk / "clothes")
    _two_commands(desk, strip, "clothes")


def clinic(desk: Path, strip: Strip) -> None:
    """Volumes of 60 people without a word about them; then with the hospital's list beside them."""
    subprocess.run([sys.executable, "-m", "ctlr", "cohort", "grown", "--subjects", "60"], cwd=desk, check=True)
    lines = (desk / "grown" / "participants.tsv").read_text().splitlines()
    rows = [dict(zip(lines[0].split("\t"), line.split("\t"), strict=True)) for line in lines[1:]]
    (desk / "clinic").mkdir()
    for row in rows:
        person = row["participant_id"]
        shutil.move(next((desk / "grown" / person).rglob("*_T1w.nii.gz")), desk / "clinic" / f"{person[4:]}.nii.gz")
    listed = [f"{row['participant_id'][4:]}.nii.gz,{row['age']},{row['sex']}" for row in rows]
    (desk / "list.csv").write_text("\n".join(["scan,age,sex", *listed]) + "\n")
    shutil.rmtree(desk / "grown")
    terminal = Terminal(desk)
    strip.start()
    _told(terminal, strip, "ctlr init --data clinic", "what is missing, and what is known")
    terminal.type("clear; cp list.csv clinic/; head -4 clinic/list.csv")
    terminal.finish()
    _two_commands(desk, strip, "clinic", terminal)


def beside(old: Path, new: Path) -> None:
    """The first screens of two reports, with the height of each whole."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        browser = Chromium(folder / "profile")
        try:
            frames = []
            for what, page in (("before", old), ("now", new)):
                browser.resize(1280, 900)
                browser.open(page.absolute().as_uri())
                height = browser.ask("document.documentElement.scrollHeight")
                browser.picture(folder / f"{what}.png")
                frames.append((f"{what}: the first of {height:,} pixels", folder / f"{what}.png"))
            join(browser, frames, DOCS / "report-560.png")
        finally:
            browser.close()


def _two_commands(desk: Path, strip: Strip, data: str, terminal: Terminal | None = None) -> None:
    if terminal is None:
        terminal = Terminal(desk)
        strip.start()
    _told(terminal, strip, f"ctlr init --data {data}", "what is there, and what is proposed")
    terminal.type(f"clear; ctlr run {data}.yaml")
    terminal.wait(1)
    strip.terminal(terminal, "a second after the second command")
    terminal.wait(20)
    strip.terminal(terminal, "while it runs")
    terminal.finish()
    strip.terminal(terminal, "the result")
    found = re.search(r"Report: (\S+)", terminal.text.replace("\n", " "))
    assert found, terminal.text
    page = desk / found[1]
    strip.report(page, "its report")
    strip.report(page, "further down", "scrollBy(0, innerHeight * .95)")


def _told(terminal: Terminal, strip: Strip, command: str, what: str) -> None:
    """A command to its end, and a frame of what it said."""
    terminal.type(command)
    terminal.finish()
    strip.terminal(terminal, what)


if __name__ == "__main__":
    main()
