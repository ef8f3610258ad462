"""The routes of what comes after a run: its models, their mistakes, comparisons, more time, and what is served."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, Protocol, cast, get_args

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ctlr.errors import ConfigError, CtlrError, DataError, WorkspaceError
from ctlr.report.statistics.estimates import Gain
from ctlr.runs import NAME, Run, Runs, duration
from ctlr.ui import processes, story
from ctlr.ui.asking import Asking, Saliency
from ctlr.ui.drawing import scatter
from ctlr.ui.models import Models, Trained, zipped
from ctlr.ui.options import Options

__all__ = ["add_end_pages"]

_PAGE = 24
"""Pictures of a gallery at once."""
_MOST_CLASSES = 40
"""Up to which a confusion matrix is shown whole."""
_CONFUSIONS = 20
_UPLOAD_BYTES = 256 * 2**20
_FIELDS = 20
_MONITOR_BYTES = 2**22
_MOST_MINUTES = 7 * 24 * 60
_PICTURE = {"cache-control": "private, max-age=600"}


class Shared(Protocol):
    """What the server gives these routes."""

    @property
    def options(self) -> Options:
        """How it is served."""
        ...

    @property
    def runs(self) -> Runs:
        """Of the workspace."""
        ...

    @property
    def root(self) -> Path:
        """Workspace."""
        ...

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page of a template."""
        ...

    def go(self, path: str) -> RedirectResponse:
        """To a page of ours."""
        ...

    def run(self, name: str) -> Run:
        """A run by its name; raises where there is none."""
        ...

    def life(self, run: Run) -> str:
        """How it is."""
        ...

    async def fields(self, request: Request) -> dict[str, list[str]]:
        """A checked form."""
        ...

    def check_form(self, request: Request, fields: Mapping[str, str]) -> None:
        """Raises where a form is none of ours."""
        ...


def add_end_pages(app: FastAPI, shared: Shared) -> None:
    """Add the routes to the app."""
    models = Models(shared.options)
    asking = Asking(models)
    _model_pages(app, shared, models)
    _images(app, shared, models, asking)
    _trying(app, shared, models, asking)
    _comparing(app, shared, models)
    _time(app, shared)
    _monitoring(app, shared)


def _ended(shared: Shared, name: str) -> Run:
    """A run whose test images may be looked at: whoever sees them earlier may be guided by them.

    Raises:
        ConfigError: There is no such run.
        WorkspaceError: It has not ended.
    """
    run = shared.run(name)
    if shared.life(run) != "finished":
        raise WorkspaceError(
            f"{name} has not ended: its models and the test pictures are shown then, so that nobody is guided by them."
        )
    return run


# ---------------------------------------------------------------- models


def _model_pages(app: FastAPI, shared: Shared, models: Models) -> None:
    @app.get("/runs/{name}/models")
    def every(request: Request, name: str) -> Response:
        run = _ended(shared, name)
        rows = [_row(models, each) for each in models.of(name)]
        card = shared.root / "reports" / name / "model-card.md"
        text = card.read_text(errors="replace") if card.is_file() else ""
        return shared.page(request, "models.html", run=run, rows=rows, card=text)

    @app.get("/runs/{name}/models/{model}")
    def one(
        request: Request, name: str, model: str, truth: int | None = None, said: int | None = None, page: int = 1
    ) -> Response:
        run, found = _ended(shared, name), models.one(name, model)
        tested = models.tested(found)
        order = tested.order(truth, said)
        pages = max(1, math.ceil(len(order) / _PAGE))
        page = min(max(1, page), pages)
        unit = tested.done.unit
        return shared.page(
            request, "model.html", run=run, row=_row(models, found), model=found, hidden=models.hides(found),
            classes=tested.classes, matrix=_matrix(tested), confusions=_confusions(tested), truth=truth, said=said,
            images=[_image(tested, int(place)) for place in order[(page - 1) * _PAGE : page * _PAGE]],
            found=len(order), page=page, pages=pages, unit=unit,
            drawn="" if tested.classes else scatter(tested.test.truth.tolist(), tested.test.prediction.tolist(), unit),
        )  # fmt: skip

    @app.get("/runs/{name}/models/{model}/model.zip")
    def archive(name: str, model: str) -> Response:
        _ended(shared, name)
        found = models.one(name, model)
        if not found.card:
            raise ConfigError("There is no file of this model: the study left predictions alone.")
        label = re.sub(r"[^A-Za-z0-9-]+", "-", f"{name}-{found.method}").strip("-")
        return StreamingResponse(
            zipped(found, label), media_type="application/zip",
            headers={"content-disposition": f'attachment; filename="{label}.zip"'},
        )  # fmt: skip


def _row(models: Models, model: Trained) -> dict[str, Any]:
    """A line of the table of models."""
    try:
        tested = models.tested(model)
        score, unit = tested.score, tested.done.unit
    except CtlrError:
        score, unit = None, ""
    return {
        "model": model, "score": score and f"{score.mean:.4g}", "unit": unit,
        "ends": f"{score.low:.4g} to {score.high:.4g}" if score else "", "subjects": score.n_subjects if score else 0,
        "validation": "" if model.validation is None else f"{model.validation:.4g}",
        "size": f"{model.bytes / 1e6:.2f} MB" if model.bytes else "",
    }  # fmt: skip


def _matrix(tested: Any) -> list[list[int]]:
    """Rows of counts; none of a regression, and of very many classes."""
    return tested.matrix.tolist() if 0 < len(tested.classes) <= _MOST_CLASSES else []


def _confusions(tested: Any) -> list[tuple[int, int, int]]:
    """(true class, predicted class, count) of what was mistaken most often."""
    if not tested.classes:
        return []
    counts = tested.matrix
    found = [(t, s, int(counts[t, s])) for t, s in zip(*counts.nonzero(), strict=True) if t != s]
    return sorted(((int(t), int(s), count) for t, s, count in found), key=lambda row: -row[2])[:_CONFUSIONS]


def _image(tested: Any, place: int) -> dict[str, Any]:
    """What is said of a test image."""
    truth, said = float(tested.test.truth[place]), float(tested.test.prediction[place])
    names = tested.classes
    return {
        "number": place, "there": bool(tested.rows[place] >= 0),
        "truth": names[int(truth)] if names else f"{truth:.4g}",
        "said": names[int(said)] if names else f"{said:.4g}", "right": truth == said if names else None,
        "sure": f"{100 * tested.confidence[place]:.0f} %" if names else f"{said - truth:+.4g}",
    }  # fmt: skip


# ---------------------------------------------------------------- images


def _images(app: FastAPI, shared: Shared, models: Models, asking: Asking) -> None:
    def shown(name: str, model: str) -> Trained:
        """A model whose images may be shown."""
        _ended(shared, name)
        found = models.one(name, model)
        if why := models.hides(found):
            raise ConfigError(f"There is no picture to show. {why}")
        return found

    @app.get("/runs/{name}/models/{model}/images/{number}")
    def page(request: Request, name: str, model: str, number: int, look: str = "") -> Response:
        run, found = _ended(shared, name), shown(name, model)
        tested = models.tested(found)
        tested.image(number)
        shares = tested.test.probabilities
        told = [] if shares is None else sorted(
            zip(tested.classes, shares[number].tolist(), strict=True), key=lambda pair: -pair[1]
        )  # fmt: skip
        return shared.page(
            request, "image.html", run=run, model=found, image=_image(tested, number), unit=tested.done.unit,
            shares=told[:10], look=look if look in get_args(Saliency) else "", usable=bool(found.card),
            network=bool(found.card) and found.card.get("method") is None,
        )  # fmt: skip

    @app.get("/runs/{name}/models/{model}/images/{number}/image.png")
    def plain(name: str, model: str, number: int) -> Response:
        return Response(asking.picture(shown(name, model), number), media_type="image/png", headers=_PICTURE)

    @app.get("/runs/{name}/models/{model}/images/{number}/{kind}.png")
    def salient(name: str, model: str, number: int, kind: str) -> Response:
        found = shown(name, model)
        if kind not in get_args(Saliency) or not found.card:
            raise ConfigError("There is no such picture.")
        made = asking.saliency(found, number, cast("Saliency", kind))
        return Response(made, media_type="image/png", headers=_PICTURE)


# ---------------------------------------------------------------- trying it


def _trying(app: FastAPI, shared: Shared, models: Models, asking: Asking) -> None:
    @app.post("/runs/{name}/models/{model}/try")
    async def ask(request: Request, name: str, model: str) -> Response:
        parser = MultiPartParser(request.headers, _limited(request), max_files=1, max_fields=_FIELDS)
        try:
            form = await parser.parse()
        except (MultiPartException, KeyError) as error:
            raise DataError("a form with one file is needed. Send it again.") from error
        try:
            fields = {field: value for field, value in form.multi_items() if isinstance(value, str)}
            shared.check_form(request, fields)
            run, found = _ended(shared, name), models.one(name, model)
            file = form.get("image")
            if not isinstance(file, UploadFile) or not file.filename:
                raise DataError("choose a file first.")
            if not found.card:
                raise DataError("the study left no model: it cannot be asked anything.")
            columns = {each["name"]: fields.get(f"input-{place}", "").strip()[:200]
                       for place, each in enumerate(found.card.get("inputs", ()))}  # fmt: skip
            answer = await anyio.to_thread.run_sync(
                functools.partial(asking.ask, found, file.filename, file.file, columns)
            )
            return shared.page(request, "tried.html", run=run, model=found, answer=answer, file=file.filename[:100])
        finally:
            await form.close()


async def _limited(request: Request) -> AsyncGenerator[bytes]:
    """The body, as long as it is allowed to be."""
    came = 0
    async for chunk in request.stream():
        came += len(chunk)
        if came > _UPLOAD_BYTES:
            raise DataError(f"a file has at most {_UPLOAD_BYTES:,} bytes.")
        yield chunk


# ---------------------------------------------------------------- two runs


def _comparing(app: FastAPI, shared: Shared, models: Models) -> None:
    def side(name: str) -> dict[str, Any]:
        _ended(shared, name)
        with shared.runs.reading(name) as run:
            told = story.live(run)
            facts = [search.step.facts for search in run.searches.values()]
            seconds = max((each.get("race_seconds") or 0 for each in facts), default=0)
            budget = f"{duration(seconds)} of searching, together" if seconds else ""
            return {
                "name": name, "rows": [_row(models, each) for each in models.of(name)], "seconds": told["seconds"],
                "counts": told["counts"], "budget": budget, "searches": len(facts),
                "workers": run.began.get("workers", "?") if run.began else "?",
                "host": run.began.get("host", "?") if run.began else "?",
            }  # fmt: skip

    @app.get("/compare")
    def compare(request: Request, one: str = "", other: str = "") -> Response:
        names = [name for name in shared.runs.names() if re.fullmatch(NAME, name) and
                 (shared.root / "reports" / name / "models.json").is_file()
                 and shared.life(shared.runs.read(name)) == "finished"]  # fmt: skip
        sides = [side(name) for name in (one, other) if name]
        paired = list[dict[str, Any]]()
        if len(sides) == 2:
            paired = [_paired(models, mine["model"], yours["model"]) for mine, yours in _bests(*sides)]
        return shared.page(
            request, "compare.html", names=names, one=one, other=other, sides=sides if len(sides) == 2 else [],
            paired=paired, asked=len(sides) == 2,
        )  # fmt: skip


def _bests(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The best models of two runs by target, where both have one; the only ones whatever the name of their target."""
    mine, yours = ([row for row in each["rows"] if row["model"].best] for each in (one, other))
    if len(mine) == len(yours) == 1:
        return [(mine[0], yours[0])]
    return [(a, b) for a in mine for b in yours if a["model"].target == b["model"].target]


def _paired(models: Models, one: Trained, other: Trained) -> dict[str, Any]:
    try:
        found = models.difference(one, other)
    except CtlrError as error:
        found = str(error)
    told: dict[str, Any] = {"one": one, "other": other, "gain": "", "why": ""}
    if not isinstance(found, Gain):
        return told | {"why": found}
    if math.isnan(found.low):
        return told | {"why": "A single subject was tested: nothing can be said of its difference."}
    better = "none is shown to be better"
    if found.low > 0 or found.high < 0:
        better = f"{(one if found.low > 0 else other).name} is better"
    return told | {
        "gain": f"{found.mean:+.4g} ({found.low:+.4g} to {found.high:+.4g})", "better": better,
        "subjects": found.n_subjects,
    }  # fmt: skip


# ---------------------------------------------------------------- more time


def _time(app: FastAPI, shared: Shared) -> None:
    @app.get("/runs/{name}/time")
    def show(request: Request, name: str) -> Response:
        run = shared.run(name)
        seconds = processes.race_seconds(shared.root, name)
        return shared.page(request, "time.html", run=run, life=shared.life(run), seconds=seconds)

    @app.post("/runs/{name}/time")
    async def add(request: Request, name: str) -> Response:
        fields = await shared.fields(request)
        run, text = shared.run(name), fields.get("minutes", [""])[0].strip()
        try:
            minutes = float(text)
        except ValueError as error:
            raise ConfigError(f"`minutes` must be a number; got {text[:40]!r}.") from error
        if not 0 < minutes <= _MOST_MINUTES:
            raise ConfigError(f"`minutes` must be above 0 and at most {_MOST_MINUTES}; got {text[:40]}.")
        await anyio.to_thread.run_sync(processes.add_time, shared.root, run, round(60 * minutes, 1))
        return shared.go(f"/runs/{name}")


# ---------------------------------------------------------------- what is served


def _monitoring(app: FastAPI, shared: Shared) -> None:
    def state() -> dict[str, Any]:
        """What the file says."""
        file = shared.options.monitor
        if file is None:
            raise ConfigError("There is no file of a monitor. Name one: `ctlr ui --monitor FILE`.")
        found: dict[str, Any] = {"file": str(file), "fault": "", "told": {}, "rows": []}
        try:
            if not file.exists():
                return found | {"fault": f"Nothing has been written yet. `ctlr serve MODEL --monitor {file}` does."}
            with file.open("rb") as opened:
                told = json.loads(opened.read(_MONITOR_BYTES))
            rows = (told["last"] or {}).get("rows", [])
            needed = ("verdict", "told", "window", "filling", "images", "windows", "alarms", "judged_at")
            return found | {"told": {key: told[key] for key in needed}, "rows": [_drifted(row) for row in rows]}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return found | {"fault": "The file cannot be read: it is none that `ctlr serve --monitor` writes."}

    @app.get("/monitoring")
    def page(request: Request) -> Response:
        return shared.page(request, "monitoring.html", **state())

    @app.get("/monitoring/live")
    def live(request: Request) -> Response:
        return shared.page(request, "monitored.html", **state())


def _drifted(row: Mapping[str, Any]) -> dict[str, Any]:
    """A feature's line."""
    medians = ["" if row[name] is None else f"{float(row[name]):.4g}" for name in ("median_reference", "median")]
    return {
        "feature": str(row["feature"]), "then": medians[0], "now": medians[1], "distance": f"{row['distance']:.3f}",
        "psi": f"{row['psi']:.3g}", "p": f"{row['p_corrected']:.2g}", "drifted": bool(row["drifted"]),
    }  # fmt: skip
