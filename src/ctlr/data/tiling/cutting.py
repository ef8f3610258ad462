"""Cut patches out of slides: where an annotation mask marks them, or where tissue is.

A patch's file and its line depend on the slide, its mask and the options alone, whatever the number of workers.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ctlr.data.tiling.png import png
from ctlr.data.tiling.slides import SLIDES, Level, Slide, open_slide
from ctlr.data.tiling.tissue import otsu, saturation, tissue_share
from ctlr.errors import ConfigError, DataError
from ctlr.workspace import disk_faults_named, write_aside

__all__ = ["TABLE", "Cutting", "cut"]

TABLE = "patches.tsv"
"""Name of the table that is written beside the patches."""

COLUMNS = ("file", "case", "slide", "class", "x", "y", "extent", "level", "mpp", "share")
_RECORDS = ".cut"
_SAMPLED = 64  # regions that the threshold of a slide is found from, where it has no small level
_SAMPLE_SIDE = 256
_SMALL = 2**24  # pixels of a level that is small enough to be looked at as a whole
_SHOWN = 10
Row = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """What is cut."""

    size: int = 512
    """Pixels a side of a patch."""
    overlap: int = 0
    """Pixels that neighbours share."""
    share: float = 0.5
    """Of a patch, that tissue or one label of the mask covers at least."""
    level: int = 0
    """Of a pyramid; 0 is the finest."""
    mpp: float | None = None
    """µm a pixel of the patches, instead of a level: the next finer level is read and made smaller."""
    labels: Mapping[int, str] = field(default_factory=dict)
    """Value of a mask -> the class that it stands for; by default the number."""
    case: str | None = None
    """Regular expression over a slide's path, whose first group is its case; by default each slide is one."""

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.size:
            raise ConfigError(f"`overlap` must be less than the size {self.size}; got {self.overlap}.")
        if self.mpp is not None and self.level:
            raise ConfigError("`level` and `mpp` say the same; leave one out.")
        if self.case is not None and re.compile(self.case).groups < 1:
            raise ConfigError(f"`case` needs a group in parentheses; {self.case!r} has none.")


@dataclass(frozen=True, kw_only=True)
class _Job:
    """A slide that is cut."""

    name: str
    path: Path
    mask: Path | None
    label: str
    """By its folder."""
    case: str


def cut(
    slides: Path,
    out: Path,
    options: Cutting,
    *,
    masks: Path | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Cut patches out of all slides of a folder, into PNG files and a table.

    Slides that were cut already with the same options are not read again, so that an interrupted run goes on. Patches
    lie in one folder a class where there are classes: those of the masks, or else the folders that the slides lie in.

    Args:
        slides: A slide, or a folder of slides, in one folder a class or not.
        out: Folder for the patches; new, or one that the same call has begun to fill.
        options: What is cut.
        masks: Folder with a mask for each slide, of the same name but for the ending: 0 is unmarked. Each has the size
            of its slide, or this size divided by a whole number.
        workers: Threads.
        progress: Told (slides done, slides in all).

    Returns:
        Number of patches.

    Raises:
        ConfigError: `out` holds something else.
        DataError: A slide or mask cannot be used; all that headers tell is told at once.
    """
    jobs = _jobs(slides, masks, options)
    _look_at(jobs, options)
    with disk_faults_named(out):
        _begin(out, options, masks)
        rows: list[Row] = []
        for done, job in enumerate(jobs, start=1):
            rows += _cut_once(job, out, options, workers)
            if progress is not None:
                progress(done, len(jobs))
        if not rows:
            raise DataError(
                f"no patch of {options.size} x {options.size} pixels has a share of {options.share:g} or more. Lower "
                "`share`, or the size."
            )
        shown = [column for column in COLUMNS if any(row[column] for row in rows)]
        write_aside(out / TABLE, _lines(shown, rows).encode())
    return len(rows)


# ---------------------------------------------------------------- which slides


def _jobs(slides: Path, masks: Path | None, options: Cutting) -> list[_Job]:
    if not slides.exists():
        raise DataError(f"there is no {str(slides)!r}. Correct the path.")
    root = slides if slides.is_dir() else slides.parent
    paths = sorted(_below(slides)) if slides.is_dir() else [slides]
    if not paths:
        raise DataError(f"{slides}: slides ({', '.join(sorted(SLIDES))}) are needed, and none is there.")
    by_name = {} if masks is None else {path.stem: path for path in sorted(_below(masks))}
    jobs: dict[str, _Job] = {}
    for path in paths:
        where = path.relative_to(root)
        found = re.search(options.case, where.as_posix()) if options.case is not None else None
        if options.case is not None and not (found and found[1]):
            raise DataError("`case` must find the case in the path of each slide. Correct it.", place=str(where))
        if path.stem in jobs:
            raise DataError(
                "slides need different names, since patches are called by them. Rename it.", place=str(where)
            )
        if masks is not None and path.stem not in by_name:
            raise DataError(
                f"a mask of its name is needed in {str(masks)!r}. Add it, or leave the slide out.", place=str(where)
            )
        jobs[path.stem] = _Job(
            name=path.stem, path=path, mask=by_name.get(path.stem), case=found[1] if found else path.stem,
            label=where.parts[0] if len(where.parts) > 1 else "",
        )  # fmt: skip
    return list(jobs.values())


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in SLIDES and path.is_file() and not hidden:
            yield path


def _look_at(jobs: Iterable[_Job], options: Cutting) -> None:
    """Open all slides and masks, before any is cut."""
    faults = []
    for job in jobs:
        try:
            _Cut(job, options).close()
        except DataError as error:
            faults.append(f"{error.place or job.path.name}: {error.reason}")
    if faults:
        more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise DataError("\n".join([*faults[:_SHOWN], *more]))


# ---------------------------------------------------------------- one slide


class _Cut:
    """A slide with all that decides where its patches lie."""

    def __init__(self, job: _Job, options: Cutting) -> None:
        self.job, self.options = job, options
        self.mask: Slide | None = None
        self.slide = open_slide(job.path)
        with ExitStack() as opened:
            opened.callback(self.close)
            self._look()
            opened.pop_all()  # all stays open

    def _look(self) -> None:
        """Find level and mask, and refuse what does not fit."""
        job, options = self.job, self.options
        self.level, self.side = _resolution(self.slide, options)
        self.mpp = None if self.slide.mpp is None else self.slide.mpp * self.at.downsample * self.side / options.size
        if min(self.at.width, self.at.height) < self.side:
            raise DataError(
                f"a slide is at least as large as a patch; this has {self.at.width} x {self.at.height} pixels there, "
                f"and {self.side} a side are needed. Leave it out, or lower the size."
            )
        if job.mask is not None:
            try:
                self.mask = open_slide(job.mask)
                _check_mask(self.mask, self.slide.levels[0])
            except DataError as error:
                raise DataError(error.reason, place=job.mask.name) from error

    def close(self) -> None:
        """Close the files."""
        for slide in (self.slide, self.mask):
            if slide is not None:
                slide.close()

    @property
    def at(self) -> Level:
        """The level that is read."""
        return self.slide.levels[self.level]

    def places(self) -> list[tuple[int, int]]:
        """Of every patch that fits: x and y of its corner, in pixels of the level, row by row."""
        step = max(1, round(self.side * (self.options.size - self.options.overlap) / self.options.size))
        down = range(0, self.at.height - self.side + 1, step)
        return [(x, y) for y in down for x in range(0, self.at.width - self.side + 1, step)]

    def threshold(self) -> float:
        """Saturation above which pixels are tissue: by the coarsest level, or by regions all over the slide."""
        levels = self.slide.levels
        if levels[-1].width * levels[-1].height <= _SMALL:
            whole = self.slide.read(len(levels) - 1, 0, 0, levels[-1].width, levels[-1].height)
            return otsu(saturation(whole[::2, ::2]))
        width, height = min(_SAMPLE_SIDE, self.at.width), min(_SAMPLE_SIDE, self.at.height)
        n = int(_SAMPLED**0.5)
        corners = [
            (x, y)
            for y in np.linspace(0, self.at.height - height, n).astype(int)
            for x in np.linspace(0, self.at.width - width, n).astype(int)
        ]
        seen = [saturation(self.slide.read(self.level, int(x), int(y), width, height)[::4, ::4]) for x, y in corners]
        return otsu(np.concatenate([part.ravel() for part in seen]))

    def marked(self, mask: Slide, x: int, y: int) -> tuple[str, float]:
        """Class that the mask gives most of a patch, and its share."""
        level = mask.levels[0]
        factor = self.at.downsample * level.width / self.slide.levels[0].width
        left, top = int(x * factor), int(y * factor)
        side = max(1, round(self.side * factor))
        values = mask.read(0, left, top, min(side, level.width - left), min(side, level.height - top))
        counts = np.bincount(values.ravel(), minlength=2)
        label = int(np.argmax(counts[1:])) + 1
        return self.options.labels.get(label, str(label)), float(counts[label] / values.size)


def _resolution(slide: Slide, options: Cutting) -> tuple[int, int]:
    """Level that is read, and pixels a side that become a patch."""
    if options.mpp is None:
        if options.level >= len(slide.levels):
            raise DataError(f"the slide has {len(slide.levels)} levels; level {options.level} is none of 0 to "
                            f"{len(slide.levels) - 1}. Lower it.")  # fmt: skip
        return options.level, options.size
    if slide.mpp is None:
        raise DataError("the file does not say how wide a pixel is, which `mpp` needs. Name a `level` instead.")
    widths = [slide.mpp * level.downsample for level in slide.levels]
    level = max((n for n, width in enumerate(widths) if width <= options.mpp * 1.01), default=-1)
    if level < 0:
        raise DataError(f"a pixel of the slide is {widths[0]:g} µm wide; {options.mpp:g} would be finer. Raise `mpp`.")
    return level, round(options.size * options.mpp / widths[level])


def _check_mask(mask: Slide, full: Level) -> None:
    size = mask.levels[0]
    factor = max(1, round(full.width / size.width))
    if abs(full.width / factor - size.width) >= 1 or abs(full.height / factor - size.height) >= 1:
        raise DataError(
            f"a mask has the size of its slide, {full.width} x {full.height}, or that divided by a whole number; "
            f"this has {size.width} x {size.height}. Export it again."
        )
    if mask.read(0, 0, 0, 1, 1).shape[-1] != 1:
        raise DataError("a mask has one channel, whose values are labels; this has three. Convert it.")


def _cut_once(job: _Job, out: Path, options: Cutting, workers: int) -> list[Row]:
    """Rows of a slide, from its record where it was cut already."""
    record = out / _RECORDS / f"{job.name}.json"
    stamps = [list(map(int, (path.stat().st_size, path.stat().st_mtime_ns))) for path in (job.path, job.mask) if path]
    known = {"files": stamps, "case": job.case, "label": job.label}
    if record.is_file():
        told = json.loads(record.read_text())
        if {key: told.get(key) for key in known} == known:
            return list(told["rows"])
    try:
        with closing(_Cut(job, options)) as made:
            rows = list(_patches(made, out, workers))
    except DataError as error:
        raise DataError(error.reason, place=error.place or job.path.name) from error
    write_aside(record, json.dumps(known | {"rows": rows}).encode())
    return rows


def _patches(made: _Cut, out: Path, workers: int) -> Iterator[Row]:
    """Cut a slide; rows in the order of the places."""
    threshold = 0.0 if made.mask is not None else made.threshold()
    marked = made.mask is None
    with ThreadPoolExecutor(workers) as pool:
        work = partial(_patch, made, out, threshold)
        for row, share in _in_order(pool, work, made.places(), 4 * workers):
            marked = marked or share > 0
            if row is not None:
                yield row
    if not marked:
        raise DataError(
            "the mask is empty: it marks nothing where a patch fits. Mark something, or leave the slide out.",
            place=made.job.mask.name if made.job.mask else "",
        )


def _patch(made: _Cut, out: Path, threshold: float, place: tuple[int, int]) -> tuple[Row | None, float]:
    """Write one patch where enough of it is wanted; its line, and the share."""
    (x, y), options = place, made.options
    label, share = (made.job.label, 1.0) if made.mask is None else made.marked(made.mask, x, y)
    if share < options.share:
        return None, share  # what is not marked need not be read
    pixels = made.slide.read(made.level, x, y, made.side, made.side)
    if made.mask is None:
        share = tissue_share(pixels, threshold)
        if share < options.share:
            return None, share
    if made.side != options.size:
        pixels = _resized(pixels, options.size)
    left, top = round(x * made.at.downsample), round(y * made.at.downsample)
    file = f"{label}/" * bool(label) + f"{made.job.name}_{left}_{top}.png"
    (out / file).parent.mkdir(parents=True, exist_ok=True)
    (out / file).write_bytes(png(pixels))
    return {
        "file": file, "case": made.job.case, "slide": made.job.name, "class": label, "x": str(left), "y": str(top),
        "extent": str(round(made.side * made.at.downsample)), "level": str(made.level),
        "mpp": "" if made.mpp is None else f"{made.mpp:.4g}", "share": f"{share:.4f}",
    }, share  # fmt: skip


def _resized(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    return np.atleast_3d(np.asarray(image.resize((size, size), Image.Resampling.BOX)))


def _in_order(
    pool: ThreadPoolExecutor,
    work: Callable[[tuple[int, int]], tuple[Row | None, float]],
    places: Iterable[tuple[int, int]],
    ahead: int,
) -> Iterator[tuple[Row | None, float]]:
    """Outcomes in the order of the places; a few are worked on ahead, so that memory stays bounded."""
    pending: deque[Future[tuple[Row | None, float]]] = deque()
    try:
        for place in places:
            pending.append(pool.submit(work, place))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


# ---------------------------------------------------------------- the folder


def _begin(out: Path, options: Cutting, masks: Path | None) -> None:
    """Make the folder, or find that the same was cut into it."""
    told = json.dumps(asdict(options) | {"masks": masks is not None})
    noted = out / _RECORDS / "options.json"
    if noted.is_file():
        if noted.read_text() != told:
            raise ConfigError(f"{out} holds patches that were cut with other options. Name another folder.")
        return
    if out.exists() and any(out.iterdir()):
        raise ConfigError(
            f"Patches are cut into a new or empty folder; {out} holds something else. Name another folder."
        )
    noted.parent.mkdir(parents=True)
    write_aside(noted, told.encode())


def _lines(columns: Iterable[str], rows: Iterable[Row]) -> str:
    shown = list(columns)
    return "".join(
        "\t".join(cells) + "\n" for cells in [shown, *([row[name] or "n/a" for name in shown] for row in rows)]
    )
