"""Pages on which points are drawn, and models are seen to learn them."""

from __future__ import annotations

import functools
import json
import re
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import anyio.to_thread
import numpy as np
from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from markupsafe import Markup
from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from ctlr.errors import ConfigError, CtlrError, DataError
from ctlr.runs import NAME, Runs
from ctlr.specs import GENERATORS, GeneratedPointsSpec
from ctlr.tuning.samplers import SAMPLERS
from ctlr.ui import drawing, plane, processes
from ctlr.ui.learning import MODELS, NETWORK, learned, learners, write_points_benchmark
from ctlr.ui.points import FAMILIES, MOST, SIDES, Fit, PointSet, PointSets, family_fields, family_of, fit_to, refused

__all__ = ["Shared", "add_points"]

_SET_BYTES = 2**20
"""Of a form that brings the points of a set."""
_TABLE_BYTES = 2**22
"""Of a table that is uploaded."""
_MOST_SECONDS = 20.0
"""That a page waits for a fit."""
_USUAL = GeneratedPointsSpec(name="points", generator="gaussians", points=(400, 200, 1000))
"""What a page suggests to generate."""
_TRUTH = 160
"""Lines along each axis on which the true boundary is looked for."""


class Shared(Protocol):
    """What the app's pages share."""

    @property
    def root(self) -> Path:
        """The workspace."""

    @property
    def runs(self) -> Runs:
        """Its runs."""

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page of a template."""

    def go(self, path: str) -> RedirectResponse:
        """To a page of ours."""


def add_points(
    app: FastAPI,
    shared: Shared,
    *,
    form: Callable[..., Awaitable[dict[str, list[str]]]],
    check: Callable[[Request, Mapping[str, str]], None],
) -> None:
    """Add the pages to an app.

    Args:
        app: The app.
        shared: What its pages share.
        form: Reads a form of our pages of so many bytes at most.
        check: Raises where fields are of no form of our pages.
    """
    sets = PointSets(shared.root)

    async def fields(request: Request, most: int = 2**16) -> dict[str, str]:
        return {name: values[0] for name, values in (await form(request, most)).items()}

    @app.get("/points")
    def listed(request: Request) -> Response:
        return shared.page(request, "points.html", sets=list(sets), generators=GENERATORS, most=MOST, usual=_USUAL)

    @app.post("/points/empty")
    async def empty(request: Request) -> Response:
        found = sets.empty((await fields(request)).get("name", "").strip())
        return shared.go(f"/points/{found.name}")

    @app.post("/points/generator")
    async def generator(request: Request) -> Response:
        given = await fields(request)
        spec = _generator(given)
        found = await anyio.to_thread.run_sync(sets.generated, given.get("name", "").strip(), spec)
        return shared.go(f"/points/{found.name}")

    @app.post("/points/{name}/anew")
    async def anew(request: Request, name: str) -> Response:
        spec = _generator(await fields(request))
        sets.get(name)
        await anyio.to_thread.run_sync(sets.generated, name, spec, True)
        return shared.go(f"/points/{name}")

    @app.post("/points/upload")
    async def upload(request: Request) -> Response:
        given, content = await _table(request)
        check(request, given)
        columns = [given.get(name, "").strip() or usual for name, usual in (("x", "x"), ("y", "y"), ("class", "class"))]
        found = await anyio.to_thread.run_sync(sets.uploaded, given.get("name", "").strip(), content, columns)
        return shared.go(f"/points/{found.name}")

    @app.get("/points/{name}")
    def show(request: Request, name: str) -> Response:
        found, asked = sets.get(name), dict(request.query_params)
        told, fit = "", None
        if asked.get("model"):
            try:
                fit = fit_to(found, family_of(asked))
            except CtlrError as error:
                told = str(error)
        return shared.page(
            request, "canvas.html", set=found, rows=json.dumps(found.rows()), sides=SIDES, families=FAMILIES,
            fields={family: family_fields(family) for family in FAMILIES}, asked=asked, most=MOST, SIDE=plane.SIDE,
            generators=GENERATORS, models=MODELS, network=NETWORK, algorithms=list(SAMPLERS),
            axes=plane.axes(found.view), truth=_truth(found), told=_told(found, fit, told),
            regions=plane.regions(fit.codes) if fit else "",
            dots=plane.dots(found.points, found.codes, found.sides, found.view),
        )  # fmt: skip

    @app.get("/points/{name}/points.csv")
    def table(name: str) -> Response:
        return FileResponse(sets.table(name), media_type="text/csv", filename=f"{name}.csv")

    @app.post("/points/{name}/fit")
    async def fit(request: Request, name: str) -> Response:
        """Keep what was drawn, and say what a model makes of it; faults are words, as points are being drawn."""
        given = await fields(request, _SET_BYTES)

        def fitted() -> dict[str, str]:
            found = _drawn(sets, name, given)
            made, told = None, ""
            try:
                made = fit_to(found, family_of(given))
            except CtlrError as error:
                told = str(error)
            return {
                "regions": str(plane.regions(made.codes)) if made else "", "truth": str(_truth(found)),
                "told": str(_told(found, made, told)),
            }  # fmt: skip

        try:
            with anyio.fail_after(_MOST_SECONDS):
                return JSONResponse(await anyio.to_thread.run_sync(fitted, abandon_on_cancel=True))
        except CtlrError as error:
            told = str(error)
        except TimeoutError:
            told = f"this fit takes more than {_MOST_SECONDS:g} seconds. Choose fewer points, or another model."
        return JSONResponse({"told": str(_told(None, None, told))}, 400)

    @app.post("/points/{name}/start")
    async def start(request: Request, name: str) -> Response:
        given = await fields(request)

        def begin() -> str:
            run = write_points_benchmark(shared.root, sets.table(name), sets.get(name), given)
            try:
                processes.start(shared.root, run, ["run", str(processes.benchmark_file(shared.root, run))])
            except CtlrError:
                shutil.rmtree(shared.root / "runs" / run)
                raise
            return run

        run = await anyio.to_thread.run_sync(begin)
        return shared.go(f"/points/{name}/runs/{run}")

    @app.get("/points/{name}/runs/{run}")
    def learns(request: Request, name: str, run: str) -> Response:
        return shared.page(request, "learning.html", **state(name, run))

    @app.get("/points/{name}/runs/{run}/live")
    def live(request: Request, name: str, run: str) -> Response:
        return shared.page(request, "learning_live.html", **state(name, run))

    def state(name: str, run: str) -> dict[str, Any]:
        found = sets.get(name)
        if not re.fullmatch(NAME, run) or not (shared.root / "runs" / run).is_dir():
            raise ConfigError(f"There is no run {run[:60]!r} in this workspace.")
        with shared.runs.reading(run) as told:
            life, shown = told.life(shared.root), learners(told)
        if life == "waiting" and "ended with exit code" in processes.output_of(shared.root, run)[-200:]:
            life = "failed"
        seen = [learned(shared.root, learner, found) for learner in shown]
        studies = [
            {"is": learner, "seen": each, "regions": plane.regions(each.codes) if each else "",
             "curve": drawing.curve(each.rows, SIDES) if each and len(each.rows) > 1 else ""}
            for learner, each in zip(shown, seen, strict=True)
        ]  # fmt: skip
        return {
            "set": found, "run": run, "life": life, "studies": studies, "truth": _truth(found), "SIDE": plane.SIDE,
            "axes": plane.axes(found.view), "sides": SIDES, "least": _least(found),
            "dots": plane.dots(found.points, found.codes, found.sides, found.view),
        }  # fmt: skip

    @app.post("/points/{name}/add")
    async def add(request: Request, name: str) -> Response:
        given, found = await fields(request), sets.get(name)
        try:
            row = [float(given["x"]), float(given["y"]), int(given["class"]), int(given["side"])]
        except (KeyError, ValueError) as error:
            raise DataError("a point needs x and y as numbers, a class and a side.") from error
        sets.keep(found.with_rows([*found.rows(), row]))
        return shared.go(f"/points/{name}")

    @app.post("/points/{name}/class")
    async def more(request: Request, name: str) -> Response:
        given = await fields(request, _SET_BYTES)
        sets.with_class(_drawn(sets, name, given), given.get("class", "").strip())
        return shared.go(f"/points/{name}")

    @app.post("/points/{name}/delete")
    async def delete(request: Request, name: str) -> Response:
        await fields(request)
        sets.delete(name)
        return shared.go("/points")


def _drawn(sets: PointSets, name: str, given: Mapping[str, str]) -> PointSet:
    """The set as a page has it, which is kept; without points in the form, as it is."""
    found = sets.get(name)
    if not given.get("points"):
        return found
    try:
        rows = json.loads(given["points"])
    except ValueError as error:
        raise DataError("the points are damaged. Open the page anew.") from error
    new = found.with_rows(rows)
    if new is not found:
        sets.keep(new)
    return new


def _generator(given: Mapping[str, str]) -> GeneratedPointsSpec:
    generator = given.get("generator", "")
    known = GENERATORS[generator].parameters if generator in GENERATORS else {}
    values: dict[str, Any] = {
        "name": "points", "generator": generator, "seed": given.get("seed") or 0,
        "points": [given.get(side) or 0 for side in SIDES],
        "parameters": {name: text for name in known if (text := given.get(f"{generator}.{name}", "").strip())},
    }  # fmt: skip
    try:
        return GeneratedPointsSpec.model_validate(values, strict=False)
    except ValidationError as error:
        raise refused(error) from error


async def _table(request: Request) -> tuple[dict[str, str], bytes]:
    """The fields and the file of a form that brings a table.

    Raises:
        DataError: It is no such form, or too large.
    """

    async def bounded() -> AsyncGenerator[bytes, None]:
        read = 0
        async for chunk in request.stream():
            read += len(chunk)
            if read > _TABLE_BYTES:
                raise DataError(f"a table has at most {_TABLE_BYTES:,} bytes. Leave some points out.")
            yield chunk

    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise DataError("a form with a file is needed.")
    try:
        parsed = await MultiPartParser(request.headers, bounded(), max_files=1, max_fields=20).parse()
    except (MultiPartException, KeyError) as error:
        raise DataError("the form is damaged. Send it again.") from error
    fields = {name: value for name, value in parsed.multi_items() if isinstance(value, str)}
    file = next((value for _, value in parsed.multi_items() if isinstance(value, UploadFile)), None)
    content = await file.read() if file is not None else b""
    await parsed.close()
    if not content:
        raise DataError("a table is needed, and the file is empty. Choose another one.")
    return fields, content


@functools.lru_cache(maxsize=32)
def _known(spec: str, view: tuple[float, float, float, float]) -> tuple[Markup, dict[str, float]]:
    """The true boundary on the points that test, and the least error of each side."""
    from ctlr.data.kinds.points.generating import class_densities, least_error

    data = GeneratedPointsSpec.model_validate_json(spec)
    lines = (np.linspace(view[0], view[1], _TRUTH), np.linspace(view[2], view[3], _TRUTH))
    places = np.stack(np.meshgrid(*lines), axis=-1).reshape(-1, 2)
    joint = class_densities(data, "test", places).reshape(_TRUTH, _TRUTH, -1)
    least = {"train": least_error(data, "train"), "dev": least_error(data, "validation"),
             "eval": least_error(data, "test")}  # fmt: skip
    return plane.boundary(joint), least


def _truth(found: PointSet) -> Markup:
    return _known(found.generator.model_dump_json(), found.view)[0] if found.generator else Markup("")


def _least(found: PointSet) -> Mapping[str, float]:
    """The least possible error of each side, where it is known."""
    return _known(found.generator.model_dump_json(), found.view)[1] if found.generator else {}


def _told(found: PointSet | None, fit: Fit | None, fault: str) -> Markup:
    """Errors of the sides, and the points of each class."""
    parts = [Markup('<p class="note warn" role="alert">{}</p>').format(fault)] if fault else []
    if found is None:
        return Markup("").join(parts)
    least = _least(found)
    head = Markup("").join(Markup('<th scope="col" class="number">{}</th>').format(side) for side in SIDES)
    rows = []
    if fit is not None:
        cells = [
            f"{wrong / count:.1%} ({wrong} of {count})" if count else "no points"
            for wrong, count in (fit.wrong[side] for side in SIDES)
        ]
        rows.append(("error", cells, "best"))
    if least:
        rows.append(("least possible error", [f"{least[side]:.2%}" for side in SIDES], ""))
    rows += [(f"points of {name}", list(map(str, counts)), "") for name, counts in found.counts().items()]
    body = Markup("").join(
        Markup('<tr class="{}"><th scope="row">{}</th>{}</tr>').format(
            style, name, Markup("").join(Markup('<td class="number">{}</td>').format(cell) for cell in cells)
        )
        for name, cells, style in rows
    )
    table = Markup('<table class="errors"><thead><tr><th></th>{}</tr></thead><tbody>{}</tbody></table>')
    parts.append(table.format(head, body))
    if fit is not None:
        parts.append(Markup('<p class="soft">{}, fitted in {:.0f} ms</p>').format(fit.model, 1000 * fit.seconds))
    return Markup("").join(parts)
