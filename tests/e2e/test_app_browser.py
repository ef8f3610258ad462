"""The app in a real Chromium: from an upload to a report, whatever happens to the server and the page meanwhile."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import zipped
from chromium import CHROMIUM, Chromium, contrast, luminance
from katib_lab import SPACE, laboratory, manifest
from kube_api import Node, Object
from long_run import write_long_run
from PIL import Image
from served import Client
from sklearn.datasets import load_digits
from terminal import until
from trained_models import PICTURES, train, write_shapes

from ctlr.events import EventLog, events_path, process_start, read_events
from ctlr.tuning.katib import connect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed (Debian: apt-get install chromium)"),
]

NUMBERS = "[...document.querySelectorAll('#feed li')].map(item => item.value)"
COMPLAINTS = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")


def complaints(browser: Chromium, address: str) -> list[Any]:
    """What the browser says against pages of a server; a page of one that is gone may have called it until now."""
    found = [event for event in browser.events if event["method"] in COMPLAINTS]
    own = "/".join(address.split("/")[:3])  # without the path prefix
    return [event for event in found if event["params"].get("entry", {}).get("url", own).startswith(own)]


class Server:
    """`ctlr ui` as a process."""

    def __init__(self, workspace: Path, *words: str) -> None:
        self.workspace, self._words, self._port = workspace, words, "0"
        self.begin()

    def begin(self) -> None:
        """Serve, at the same port as before."""
        words = [sys.executable, "-m", "ctlr", "ui", "-w", str(self.workspace), "--port", self._port, *self._words]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[1].rstrip("/")
        found = re.search(r":(\d+)", self.address)
        assert found is not None
        self._port = found[1]

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    serving = Server(tmp_path / "workspace")
    yield serving
    serving.kill()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty handwritten digits of each of three kinds."""
    path, found = tmp_path_factory.mktemp("digits") / "digits.zip", load_digits()
    files = {}
    for label in (0, 1, 2):
        for number, image in enumerate(found.images[found.target == label][:40]):
            place = path.with_name("one.png")
            Image.fromarray((image * 15.9).astype(np.uint8)).resize((32, 32)).save(place)
            files[f"digits/{label}/{number}.png"] = place.read_bytes()
    path.write_bytes(zipped(files))
    return path


def upload(browser: Chromium, server: Server, archive: Path) -> None:
    browser.open(f"{server.address}/new")
    browser.choose("#zip", archive)
    browser.follow("document.querySelector('form[enctype] button').click()")
    browser.until("document.querySelector('#start') !== null")


def start(browser: Chromium, **values: object) -> None:
    """Fill in the form of a folder, and start."""
    for name, value in {"n_train": 12, "side": 32, "workers": 1, **values}.items():
        browser.ask(f"document.querySelector('#{name}').value = '{value}'")
    browser.ask("document.querySelector('[name=apart]').checked = true")
    browser.follow("document.querySelector('#start').click()")


def life(browser: Chromium, wanted: str, seconds: float = 120) -> None:
    browser.until(f"document.querySelector('#life')?.innerText == '{wanted}'", seconds)


def reach(browser: Chromium, wanted: str) -> None:
    """Press Tab until the element of that id has the focus."""
    for _ in range(80):
        browser.press("Tab", 9)
        if browser.ask("document.activeElement.id") == wanted:
            return
    raise AssertionError(f"Tab does not lead to #{wanted}")


def assert_whole(browser: Chromium) -> None:
    """Every event stands there once, in order, down to where the page began."""
    numbers = browser.ask(NUMBERS)
    assert numbers == list(range(numbers[0], numbers[0] - len(numbers), -1))


def test_from_an_upload_to_a_report_with_a_reload_a_killed_server_and_two_tabs(
    browser: Chromium, server: Server, archive: Path
) -> None:
    upload(browser, server, archive)
    assert "120 pictures of 3 classes" in browser.ask("document.body.innerText")
    seen = "[...document.images].slice(0, 5).every(image => image.naturalWidth > 0)"  # out of sight they are not loaded
    browser.until(f"(document.querySelector('.thumbs').scrollIntoView(), {seen})")  # where a page begins is set late
    start(browser, epochs=400)
    page = browser.ask("location.href")
    browser.until("document.querySelector('.card polyline') !== null")  # what runs now, with its curve
    first = browser.tab()
    browser.open(page)
    life(browser, "running")
    second = browser.turn(first)
    browser.follow("location.reload()")
    before = browser.ask(NUMBERS)
    server.kill()
    browser.until("!document.querySelector('#lost').hidden")
    time.sleep(1.5)  # the run goes on meanwhile
    server.begin()
    browser.until("document.querySelector('#lost').hidden")
    life(browser, "finished", 240)
    events = list(read_events(events_path(server.workspace, "digits")))
    for tab in (second, first):
        browser.until(f"Number(document.querySelector('#feed li').value) == {len(events)}")
        life(browser, "finished")
        assert_whole(browser)
        browser.turn(tab)
    browser.turn(second)
    browser.leave(first)
    assert browser.ask(NUMBERS)[-1] <= before[-1]
    assert "1. " not in browser.ask("document.querySelector('.ranking').innerText")
    browser.follow("document.querySelector('#report').click()")
    sandbox = browser.ask("document.querySelector('iframe').getAttribute('sandbox')")
    assert sandbox == "allow-downloads allow-popups allow-scripts"
    browser.open(f"{server.address}/runs/digits/report/report.html")
    assert browser.ask("self.origin") == "null"  # a foreign site
    browser.until("document.querySelector('.tools button') !== null")
    browser.ask("document.querySelector('th button.sort').click()")
    assert "sort=" in browser.ask("location.hash")
    assert "digits" in browser.ask("document.body.innerText")
    assert browser.ask("document.querySelector('svg, img') !== null")


def test_many_files_of_one_class_come_in_at_once(
    browser: Chromium, server: Server, archive: Path, tmp_path: Path
) -> None:
    shutil.unpack_archive(archive, tmp_path / "unpacked")
    files = sorted(tmp_path.glob("unpacked/digits/0/*.png"))
    browser.open(f"{server.address}/new")
    browser.choose("#zip", *files)
    browser.ask("document.querySelector('#label').value = 'zero'")
    browser.follow("document.querySelector('form[enctype] button').click()")
    browser.until("document.body.innerText.includes('40 pictures of 1 class')")
    came = sorted(file.read_bytes() for file in server.workspace.glob("uploads/*/pictures/**/zero/*.png"))
    assert came == sorted(file.read_bytes() for file in files)


def test_a_run_is_stopped_and_gone_on_with_by_the_keyboard_alone(
    browser: Chromium, server: Server, archive: Path
) -> None:
    upload(browser, server, archive)
    start(browser, epochs=2000)
    browser.until("document.querySelector('.card progress') !== null")
    reach(browser, "stop")
    assert browser.ask("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    browser.press("Enter", 13)
    life(browser, "interrupted")
    told = [event["kind"] for event in read_events(events_path(server.workspace, "digits"))]
    assert told[-1] == "run.interrupted"
    browser.until("document.querySelector('#resume') !== null")
    reach(browser, "resume")
    browser.press("Enter", 13)
    life(browser, "running")
    browser.until("document.querySelector('#stop') !== null")
    browser.follow("document.querySelector('#stop').click()")
    life(browser, "interrupted")
    browser.until("document.querySelector('a[href$=delete]') !== null")
    browser.follow("document.querySelector('a[href$=delete]').click()")
    assert (server.workspace / "runs" / "digits").exists()
    browser.follow("document.querySelector('button.danger').click()")
    assert not (server.workspace / "runs" / "digits").exists()


def told(server: Server, run: str) -> list[Any]:
    return list(read_events(events_path(server.workspace, run)))


def test_a_search_pauses_goes_on_stops_at_a_score_and_gets_more_time(browser: Chromium, server: Server) -> None:
    browser.open(f"{server.address}/points")
    browser.follow("document.querySelector('#generate').click()")
    browser.ask("document.querySelector('[name=seconds]').value = '3600'")
    browser.ask("document.querySelector('[name=knn]').checked = true")
    browser.follow("document.querySelector('#start').click()")
    browser.until("document.querySelector('.study .regions path') !== null")  # a trial, while it learns or thereafter
    browser.follow("document.querySelector('#whole').click()")
    browser.until("document.querySelector('.card .best') !== null")
    browser.ask("document.querySelector('#pause').focus()")
    browser.press("Enter", 13)
    life(browser, "paused")
    last = told(server, "generated-run")[-1]
    time.sleep(1.5)
    assert told(server, "generated-run")[-1] == last  # nothing happens
    assert last["kind"] == "run.paused"
    server.kill()
    server.begin()
    browser.follow("location.reload()")
    life(browser, "paused")
    browser.follow("document.querySelector('#stop').click()")  # also while it is paused
    life(browser, "interrupted")
    browser.follow("document.querySelector('#resume').click()")
    life(browser, "running")
    browser.until("document.querySelector('#pause') !== null")
    browser.follow("document.querySelector('#pause').click()")
    life(browser, "paused")
    browser.follow("document.querySelector('#resume').click()")
    life(browser, "running")
    browser.ask("document.querySelector('a[href=\"#goal\"]').click()")
    browser.until("document.querySelector('#goal').checkVisibility()")  # it was folded
    browser.ask("document.querySelector('#goal').value = '0.5'")
    browser.follow("document.querySelector('#ask-goal').click()")
    life(browser, "finished", 240)
    ended = len(told(server, "generated-run"))
    browser.until("document.querySelector('#more-time') !== null")
    browser.follow("document.querySelector('#more-time').click()")
    browser.ask("document.querySelector('#minutes').value = '10'")
    browser.follow("document.querySelector('#add').click()")
    while not any(event["kind"] == "trial.ended" for event in told(server, "generated-run")[ended:]):
        life(browser, "running")
        time.sleep(0.2)
    browser.until("document.querySelector('#stop') !== null")
    browser.follow("document.querySelector('#stop').click()")
    life(browser, "interrupted")


def test_all_of_it_works_without_scripts(browser: Chromium, server: Server, archive: Path) -> None:
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        upload(browser, server, archive)
        start(browser, epochs=5)
        life(browser, "finished", 120)  # the page loads itself anew
        browser.open(f"{server.address}/runs/digits/studies")
        assert "scratch" in browser.ask("document.querySelector('table').innerText")
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)


def paint(browser: Chromium, address: str) -> float:
    """Seconds from asking for a page until all of it is there to be shown."""
    browser.open("about:blank")
    browser.open(address)
    look = "performance.getEntriesByType('navigation')[0]?.domContentLoadedEventEnd"
    return float(browser.until(look)) / 1000


def test_ten_thousand_trials_are_shown_soon_filtered_and_sorted(browser: Chromium, tmp_path: Path) -> None:
    write_long_run(tmp_path / "w", 10_000)
    serving = Server(tmp_path / "w")  # which has not read them yet
    try:
        assert paint(browser, f"{serving.address}/runs/many") < 20  # a second where nothing else runs
        assert "10000 trials, page 1 of 200" in browser.ask("document.body.innerText")
        assert browser.ask("document.querySelectorAll('.trials tbody tr').length") == 50
        browser.follow("document.querySelector('#by-value').click()")
        browser.follow("document.querySelector('#by-value').click()")
        values = browser.ask(
            "[...document.querySelectorAll('.trials tbody tr')].map(r => Number(r.cells[3].innerText))"
        )
        assert values == sorted(values, reverse=True)
        browser.follow("document.querySelector('#next').click()")
        browser.ask("document.querySelector('[name=status]').value = 'Failed'")
        browser.follow("document.querySelector('#show').click()")
        assert "200 trials, page 1 of 4" in browser.ask("document.body.innerText")
        log = EventLog(events_path(tmp_path / "w", "many"))
        log.write("step.finished", step="t", seconds=1.0, text="done <b>now</b>")
        log.close()
        browser.until("document.querySelector('#feed').innerText.includes('done <b>now</b>')", 10)
        browser.until("document.querySelector('.card .badge').innerText == 'finished'", 10)  # and the page follows
        assert "200 trials" in browser.ask("document.body.innerText")  # still filtered
    finally:
        serving.kill()


def test_pages_that_are_left_hold_no_connection(browser: Chromium, tmp_path: Path) -> None:
    write_long_run(tmp_path / "w", 10)
    serving = Server(tmp_path / "w")
    try:
        for _ in range(8):  # a browser opens six connections to a server, and keeps pages that were left
            browser.open("about:blank")
            browser.open(f"{serving.address}/runs/many")
        log = EventLog(events_path(tmp_path / "w", "many"))
        log.write("step.taken", step="a first one")
        browser.until("document.querySelector('#feed').innerText.includes('a first one')", 10)
        browser.open(f"{serving.address}/new")
        log.write("step.taken", step="one meanwhile")
        browser.ask("history.back()")
        browser.until("document.querySelector('#feed')?.innerText.includes('one meanwhile')", 10)
        log.close()
    finally:
        serving.kill()


def test_a_search_on_a_cluster_is_followed_without_a_reload_and_nothing_comes_twice(
    browser: Chromium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[Object] = []

    def play(node: Node, job: Object) -> None:
        held.append(job)
        if len(held) == 1:
            node.fail(job, "no such column\n")
        elif len(held) == 2:
            node.succeed(job, "loss=0.75\n")

    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with laboratory(tmp_path) as lab:
        lab.play(play)
        cluster = connect(namespace=SPACE)
        cluster.create_experiment(manifest(maxTrialCount=3, maxFailedTrialCount=3, parallelTrialCount=1))
        until(lambda: len(held) == 3)
        serving = Server(tmp_path / "workspace", "--namespace", SPACE)
        try:
            browser.open(f"{serving.address}/")
            browser.follow("document.querySelector('a[href$=\"/searches/square\"]').click()")
            browser.until("document.querySelector('#life')?.textContent === 'running'")
            assert (
                browser.ask("document.querySelector('table.trials').innerText").count("exit code 1: no such column")
                == 1
            )
            before = browser.ask(NUMBERS)
            browser.ask("window.kept = true")
            serving.kill()
            serving.begin()
            Node(lab.api, lambda node, job: None).succeed(held[-1], "loss=0.25\n")
            browser.until("document.querySelector('#life')?.textContent === 'finished'")
            assert browser.ask("window.kept") is True
            assert "best loss 0.25 by trial 2" in browser.ask("document.querySelector('#live').innerText")
            browser.until(f"{NUMBERS}.length > {len(before)}")
            numbers = browser.until(f"{NUMBERS}.length === Math.max(...{NUMBERS}) && {NUMBERS}")
            assert sorted(numbers) == list(range(1, len(numbers) + 1))
        finally:
            serving.kill()


def test_a_connection_that_is_lost_without_a_word_is_made_anew_and_nothing_is_missed(
    browser: Chromium, tmp_path: Path
) -> None:
    write_long_run(tmp_path / "w", 10)
    serving = Server(tmp_path / "w")
    log = EventLog(events_path(tmp_path / "w", "many"))
    try:
        browser.open(f"{serving.address}/runs/many")
        log.write("step.taken", step="one before")
        browser.until("document.querySelector('#feed').innerText.includes('one before')", 10)
        os.kill(serving.process.pid, signal.SIGSTOP)  # as behind a cable that was pulled: no byte, and no end
        log.write("step.taken", step="one meanwhile")
        browser.until("!document.querySelector('#lost').hidden", 40)
        os.kill(serving.process.pid, signal.SIGCONT)
        browser.until("document.querySelector('#lost').hidden", 40)
        browser.until("document.querySelector('#feed').innerText.includes('one meanwhile')", 10)
        assert_whole(browser)
    finally:
        log.close()
        serving.kill()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone_stand_out_and_complain_about_nothing(
    browser: Chromium, tmp_path: Path, archive: Path, scheme: str
) -> None:
    write_long_run(tmp_path / "w", 60)
    serving = Server(tmp_path / "w", "--root-path", "/ctlr")
    try:
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.resize(360, 740)
        upload(browser, serving, archive)
        for place in ("", "/new", "/runs/many", "/runs/many/studies", "/runs/many/delete", "/folders/digits",
                      "/points", "/compare"):  # fmt: skip
            browser.open("about:blank")  # requests that the page before had to give up are its own complaint
            browser.open(f"{serving.address}{place}")
            assert browser.ask("location.pathname").startswith("/ctlr")
            assert browser.ask("document.documentElement.scrollWidth") <= 360, place
            assert complaints(browser, serving.address) == [], place
            page = luminance(browser, "getComputedStyle(document.body).backgroundColor")
            assert (page > 0.5) == (scheme == "light")
            for selector in ("h1", "a", ".soft"):
                ink = f"getComputedStyle(document.querySelector('{selector}') ?? document.body).color"
                assert contrast(page, luminance(browser, ink)) > 4.5, (place, selector)
        browser.open(f"{serving.address}/runs/many")
        log = EventLog(events_path(tmp_path / "w", "many"))
        log.write("step.taken", step="a last one")
        log.close()
        browser.until("document.querySelector('#feed').innerText.includes('a last one')", 10)
    finally:
        serving.kill()
        browser.call("Emulation.clearDeviceMetricsOverride")


def drag(browser: Chromium, *places: tuple[float, float]) -> None:
    """Draw on the canvas with the mouse, from place to place in shares of its sides."""
    box = browser.ask(
        "(r => [r.left, r.top, r.width, r.height])(document.querySelector('#plane').getBoundingClientRect())"
    )
    kinds = ["mousePressed", *["mouseMoved"] * (len(places) - 1), "mouseReleased"]
    for kind, (x, y) in zip(kinds, [*places, places[-1]], strict=True):
        browser.call(
            "Input.dispatchMouseEvent", type=kind, x=box[0] + x * box[2], y=box[1] + y * box[3], button="left",
            buttons=int(kind != "mouseReleased"), clickCount=1,
        )  # fmt: skip
        time.sleep(0.02)


def test_two_classes_are_drawn_fitted_and_learned_by_a_network(browser: Chromium, server: Server) -> None:
    browser.resize(1200, 900)
    browser.open("about:blank")  # a page before, whose server has ended, complains of that
    browser.open(f"{server.address}/points")
    browser.follow("document.querySelector('#draw').click()")
    drag(browser, *[(0.25, 0.3 + 0.01 * step) for step in range(30)])
    browser.ask("document.querySelector('#class').value = '1'")
    drag(browser, *[(0.75, 0.3 + 0.01 * step) for step in range(30)])
    browser.until("document.querySelector('.errors .best') !== null")
    assert browser.ask("document.querySelectorAll('#regions path').length") == 2
    cells = browser.ask("[...document.querySelectorAll('.errors .best td')].map(cell => cell.innerText)")
    assert all(cell.startswith("0.0% (0 of ") for cell in cells)
    assert complaints(browser, server.address) == []
    drawn = "document.querySelector('#dots').innerHTML"
    before = browser.ask(drawn)
    browser.ask("document.querySelector('#plane').focus()")  # by keyboard: a few more, and back
    browser.press("ArrowRight", 39)
    browser.press("Enter", 13)
    assert browser.ask(drawn) != before
    browser.ask("document.querySelector('#undo').click()")
    assert browser.ask(drawn) == before
    table = server.workspace / "points" / "drawing" / "points.csv"
    browser.until("document.querySelector('#plane').getAttribute('aria-busy') === null")
    assert {line.split(",")[2] for line in table.read_text().splitlines()[1:]} == {"a", "b"}
    browser.ask("document.querySelector('[name=epochs]').value = '300'")
    browser.follow("document.querySelector('#start').click()")
    for part in (".regions path", ".chart"):
        browser.until(f"document.querySelector('.study {part}') !== null", 120)
    life(browser, "finished", 240)
    assert "After epoch 300, train error 0.0 %" in browser.ask("document.querySelector('.study').innerText")
    browser.resize(360, 740)
    for place in ("/points", "/points/drawing", "/points/drawing/runs/drawing-run"):
        browser.open(f"{server.address}{place}")
        assert browser.ask("document.documentElement.scrollWidth") <= 360, place
    browser.call("Emulation.clearDeviceMetricsOverride")


def test_points_go_out_as_a_table_and_come_in_as_they_were_and_are_drawn_anew(
    browser: Chromium, server: Server
) -> None:
    browser.open(f"{server.address}/points")
    browser.ask(
        "(chooser => { chooser.value = 'pinwheel'; chooser.dispatchEvent(new Event('input')); })"
        "(document.querySelector('#generator'))"
    )
    shown = (
        "[...document.querySelectorAll('fieldset[data-of]')].filter(each => !each.hidden).map(each => each.dataset.of)"
    )
    assert browser.ask(shown) == ["pinwheel"]
    browser.ask("document.querySelector('[name=\"pinwheel.classes\"]').value = '5'")
    browser.follow("document.querySelector('#generate').click()")
    drawn = "document.querySelector('#dots').innerHTML"
    before = browser.ask(drawn)
    assert len(set(re.findall(r"dots c(\d)", before))) == 5
    table = server.workspace / "points" / "generated" / "points.csv"
    assert browser.ask("document.querySelector('#csv').pathname") == "/points/generated/points.csv"
    browser.open(f"{server.address}/points")
    browser.choose("#table", table)
    browser.follow("document.querySelector('#upload').click()")
    assert (server.workspace / "points" / "table" / "points.csv").read_bytes() == table.read_bytes()
    browser.open(f"{server.address}/points/generated")
    browser.ask("document.querySelector('details').open = true")
    browser.ask("document.querySelector('[name=\"pinwheel.noise\"]').value = '0.3'")
    browser.follow("document.querySelector('#anew').click()")
    assert browser.ask(drawn) != before
    assert browser.ask("document.querySelector('[name=\"pinwheel.classes\"]').value") == "5"


def test_points_are_drawn_fitted_and_learned_by_the_keyboard_alone(browser: Chromium, server: Server) -> None:
    browser.open(f"{server.address}/points")
    reach(browser, "draw")
    browser.press("Enter", 13)
    browser.until("document.querySelector('#plane') !== null")
    for way, code, go in (("ArrowLeft", 37, -1), ("ArrowRight", 39, 1)):
        reach(browser, "plane")
        for _ in range(15 * (1 + (go > 0))):
            browser.press(way, code)
        for _ in range(20):
            browser.press("Enter", 13)
            browser.press("ArrowDown" if go < 0 else "ArrowUp", 40 if go < 0 else 38)
        if go < 0:
            reach(browser, "class")
            browser.press("ArrowDown", 40)
    browser.until("document.querySelector('.errors .best') !== null")
    assert browser.ask("document.querySelectorAll('#regions path').length") == 2
    table = (server.workspace / "points" / "drawing" / "points.csv").read_text().splitlines()[1:]
    assert {line.split(",")[2] for line in table} == {"a", "b"}
    reach(browser, "start")
    browser.press("Enter", 13)
    life(browser, "finished", 240)
    assert "Curve up to epoch 100: train" in browser.ask("document.querySelector('.chart').getAttribute('aria-label')")


def test_interrupts_that_are_meant_for_the_server_do_not_reach_its_runs(
    browser: Chromium, server: Server, archive: Path
) -> None:
    upload(browser, server, archive)
    start(browser, epochs=2000)
    browser.until("document.querySelector('.card progress') !== null")
    began = next(read_events(events_path(server.workspace, "digits")))
    os.kill(server.process.pid, signal.SIGINT)  # as Ctrl-C in its shell does
    assert "Traceback" not in server.process.communicate(timeout=20)[0]
    assert process_start(began["pid"]) == began["started"]
    done = subprocess.run(
        [sys.executable, "-m", "ctlr", "resume", "-w", str(server.workspace)], capture_output=True, text=True
    )
    assert f"process {began['pid']}" in done.stderr  # the command line sees the same run
    os.kill(began["pid"], signal.SIGINT)
    server.begin()
    browser.open(f"{server.address}/runs/digits")
    life(browser, "interrupted")
    assert json.loads(events_path(server.workspace, "digits").read_text().splitlines()[-1])["kind"] == "run.interrupted"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace of two runs that have ended, on pictures of bars and dots that lie beside it."""
    folder = tmp_path_factory.mktemp("finished")
    write_shapes(folder / "shapes")
    for name in ("pictures", "again"):
        text = PICTURES.replace("name: pictures", f"name: {name}").replace("seeds: [0, 1]", "seeds: [0]")
        (folder / f"{name}.yaml").write_text(text if name == "pictures" else text.replace("epochs: 2", "epochs: 3"))
        train(folder / f"{name}.yaml")
    return folder / "workspace"


def test_from_a_finished_run_to_its_mistakes_what_it_looks_at_and_a_new_image(
    browser: Chromium, finished: Path
) -> None:
    serving = Server(finished, "--root-path", "/ctlr")
    try:
        browser.open(f"{serving.address}/runs/pictures")
        browser.follow("document.querySelector('#models').click()")
        browser.follow("document.querySelector('#ranking a').click()")
        cell = "document.querySelector('.confusions td a')"
        count = browser.ask(f"Number({cell}.innerText)")
        browser.follow(f"{cell}.click()")
        assert browser.ask("document.querySelectorAll('.gallery img').length") == count
        browser.ask("document.querySelector('.gallery').scrollIntoView()")
        browser.until("[...document.querySelectorAll('.gallery img')].every(image => image.naturalWidth > 0)")
        browser.follow("document.querySelector('.gallery a').click()")
        browser.ask("document.querySelector('#occlusion').focus()")
        browser.press("Enter", 13)  # a keyboard is enough
        browser.until("document.querySelector('#saliency')?.naturalWidth > 0")
        browser.follow("document.querySelector('main a').click()")
        browser.choose("#image", finished.parent / "shapes" / "dots" / "1.png")
        browser.follow("document.querySelector('#ask').click()")
        assert browser.ask("document.querySelector('#said').innerText") in ("bars", "dots")
        browser.open(f"{serving.address}/compare?one=pictures&other=again")
        assert "same 8 test subjects" in browser.ask("document.querySelector('#paired').innerText")
    finally:
        serving.kill()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_an_end_need_no_script_and_fit_a_phone(browser: Chromium, finished: Path, scheme: str) -> None:
    serving = Server(finished)
    try:
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        browser.resize(360, 740)
        browser.open(f"{serving.address}/runs/pictures/models")
        own = browser.ask("document.querySelector('#ranking a').href")
        for place in (f"{serving.address}/runs/pictures/models", own, f"{own}/images/0?look=gradient",
                      f"{serving.address}/compare?one=pictures&other=again"):  # fmt: skip
            browser.open("about:blank")
            browser.open(place)
            assert browser.ask("document.documentElement.scrollWidth") <= 360, place
            page = luminance(browser, "getComputedStyle(document.body).backgroundColor")
            assert (page > 0.5) == (scheme == "light")
            for selector in ("h1", "main a", ".soft", ".good", ".bad"):
                ink = f"getComputedStyle(document.querySelector('{selector}') ?? document.body).color"
                assert contrast(page, luminance(browser, ink)) > 4.5, (place, selector)
            assert complaints(browser, serving.address) == [], place
    finally:
        serving.kill()
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
        browser.call("Emulation.clearDeviceMetricsOverride")


def test_drift_of_what_a_served_model_is_asked_appears_in_the_page(browser: Chromium, tmp_path: Path) -> None:
    write_shapes(tmp_path / "shapes", 120)
    (tmp_path / "drift.yaml").write_text(PICTURES.replace("sample_sizes: [6]", "sample_sizes: [20]"))
    trained = train(tmp_path / "drift.yaml")
    usual = [(f"{number}.png", file.read_bytes()) for number, file in enumerate(sorted(trained.data.rglob("*.png")))]
    file = tmp_path / "watch.json"
    words = [sys.executable, "-m", "ctlr", "serve", str(trained.folder), "--port", "0", "--window", "20"]
    app = Server(trained.workspace.root, "--monitor", str(file))
    with subprocess.Popen([*words, "--monitor", str(file)], stderr=subprocess.PIPE, text=True) as serving:
        try:
            assert serving.stderr is not None
            client = Client(serving.stderr.readline().split()[-1])
            browser.open("about:blank")
            browser.open(f"{app.address}/")
            browser.follow("[...document.links].find(link => link.innerText == 'Monitoring').click()")
            browser.until("document.querySelector('#verdict')?.innerText == 'too few'")
            browser.ask("window.mine = 1")  # gone where the page is loaded anew
            client.send(*(("file", name, data) for name, data in usual[:20]))
            browser.until("document.querySelector('#verdict')?.innerText == 'no drift'")
            assert browser.ask("document.querySelectorAll('td.bad').length") == 0
            client.send(*(("file", name, turned(data)) for name, data in usual[20:40]))
            browser.until("document.querySelector('#verdict')?.innerText == 'drift'")
            assert browser.ask("window.mine") == 1
            assert browser.ask("document.querySelector('#images').innerText") == "40"
            bad = browser.ask("[...document.querySelectorAll('td.bad')].map(cell => cell.innerText)")
            assert any("edges" in name for name in bad), bad
            assert complaints(browser, app.address) == []
        finally:
            serving.send_signal(signal.SIGTERM)
            app.kill()


def turned(data: bytes) -> bytes:
    """A picture turned by 90 degrees."""
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).rotate(90, expand=True).resize((22, 30)).save(out, "PNG")
    return out.getvalue()
