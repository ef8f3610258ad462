"""The routes of the app."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import os
import re
import shlex
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import parse_qsl, urlencode

import anyio.to_thread
from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined

from ctlr import __version__
from ctlr.errors import ConfigError, CtlrError, DataError, WorkspaceError
from ctlr.runs import NAME, Run, Runs, ago, duration, headline
from ctlr.ui import processes, starting, story
from ctlr.ui.access import Access
from ctlr.ui.ending import add_end_pages
from ctlr.ui.examining import Examined, Examining, thumbnail
from ctlr.ui.folders import Folder, Folders
from ctlr.ui.guard import FORM_FIELD, HEALTH, REPORT_CSP, REPORT_SANDBOX, Guard, form_value, same_value
from ctlr.ui.links import run_links
from ctlr.ui.options import Options
from ctlr.ui.points_pages import add_points
from ctlr.ui.search_pages import add_search_pages, search_rows
from ctlr.ui.searches import Searches
from ctlr.ui.unpacking import check_room
from ctlr.ui.uploading import receive
from ctlr.ui.workspaces import PLACE, Workspaces
from ctlr.wishes import Wishes, read_wishes
from ctlr.workspace import Workspace

if TYPE_CHECKING:
    from ctlr.tuning.katib import Connection

__all__ = ["create_app"]

_FORM_BYTES = 2**16
_LOOK_SECONDS = 0.25
"""Between two looks at a file that may have grown."""
_STREAM_SECONDS = 60.0
"""For which a page is told events before it has to ask anew, as one whose rights have gone may not."""
_BEAT_SECONDS = 5.0
"""After which a page is told that there is nothing to tell: app.js takes a longer silence for a lost connection."""
_KINDS = {".html": "text/html", ".csv": "text/csv", ".md": "text/markdown", ".tex": "text/plain",
          ".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png"}  # fmt: skip
"""What of a report's folder is shown."""
_LOG = re.compile(r"logs/([a-z]+-[0-9a-f]{8}\.log)")


@dataclass(frozen=True)
class _App:
    """What routes share."""

    options: Options
    runs: Runs
    folders: Folders
    examining: Examining
    pages: Environment
    searches: Searches | None
    """On the cluster, where a namespace is given."""
    outer: str = ""
    """Page of the server's own workspace, where this is another one."""

    @property
    def root(self) -> Path:
        return self.options.workspace

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page of a template, with what all of them need."""
        shared = {
            "base": self.options.prefix, "form": form_value(request.scope), "version": __version__,
            "monitored": self.options.monitor is not None, "workspace": str(self.root),
            "all_workspaces": self.outer,
        }  # fmt: skip
        return HTMLResponse(self.pages.get_template(template).render(**shared, **values), status)

    def go(self, path: str) -> RedirectResponse:
        """To a page of ours."""
        return RedirectResponse(self.options.prefix + path, 303)

    def fault(self, request: Request, error: CtlrError, status: int = 400) -> HTMLResponse:
        """A page that says what was wrong."""
        return self.page(request, "fault.html", status, message=str(error))

    def life(self, run: Run) -> str:
        """How a run is."""
        return _life(run, self)

    async def fields(self, request: Request) -> dict[str, list[str]]:
        """A form's fields; raises as `_fields` does."""
        return await _fields(request)

    def check_form(self, request: Request, fields: Mapping[str, str]) -> None:
        """Raises where a form is none of ours."""
        _check_form(request, fields)

    def run(self, name: str) -> Run:
        """A run by its name.

        Raises:
            ConfigError: There is none.
        """
        known = re.fullmatch(NAME, name) and (
            (self.root / "runs" / name).is_dir() or (self.root / "reports" / name).is_dir()
        )
        if not known:
            raise ConfigError(f"There is no run {name[:60]!r} in this workspace.")
        return self.runs.read(name)


def create_app(options: Options) -> FastAPI:
    """The app, ready to be served.

    Raises:
        WorkspaceError: The workspace cannot be used.
        ClusterError, MissingExtraError: A namespace is given, and no cluster can be found.
    """
    closing = threading.Event()
    cluster = _cluster_of(options)
    app = _app_of(options, closing, Workspaces(options, lambda own: _app_of(own, closing, None)), cluster)
    access = Access(cluster.allows, cluster.namespace) if cluster is not None else None
    app.add_middleware(functools.partial(Guard, options=options, access=access))
    return app


def _app_of(
    options: Options, closing: threading.Event, others: Workspaces | None, cluster: Connection | None = None
) -> FastAPI:
    """The app of a workspace; `others` and a cluster are beside it, where it is the server's own."""
    Workspace(options.workspace)
    pages = Environment(
        loader=PackageLoader("ctlr.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"ago": ago, "duration": duration}
    workers = max(1, len(os.sched_getaffinity(0)))
    searches = _searches_of(cluster) if cluster is not None else None
    outer = "" if others is not None else options.prefix.rpartition(PLACE)[0] + "/"
    shared = _App(options, Runs(options.workspace), Folders(options), Examining(workers), pages, searches, outer)
    app = FastAPI(title="CTLR", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.closing = closing
    app.mount("/static", StaticFiles(packages=[("ctlr.ui", "static")]), name="static")
    _home(app, shared, others)
    if others is not None:
        _workspaces(app, shared, others)
    _run_pages(app, shared)
    _run_buttons(app, shared)
    _reports(app, shared)
    _folder_pages(app, shared)
    _uploads(app, shared)
    _starts(app, shared)
    add_points(app, shared, form=_fields, check=_check_form)
    add_end_pages(app, shared)

    @app.exception_handler(CtlrError)
    async def refused(request: Request, error: CtlrError) -> Response:
        missing = isinstance(error, ConfigError) and str(error).startswith("There is no ")
        return shared.fault(request, error, 404 if missing else 409 if isinstance(error, WorkspaceError) else 400)

    @app.exception_handler(404)
    async def missing(request: Request, error: Exception) -> Response:
        return shared.fault(request, CtlrError("There is no such page."), 404)

    return app


def _cluster_of(options: Options) -> Connection | None:
    if not options.namespace:
        return None
    from ctlr.tuning.katib import connect  # which an app without a cluster need not load

    return connect(namespace=options.namespace)


def _searches_of(cluster: Connection) -> Searches:
    from ctlr.tuning.katib import Listing

    return Searches(Listing(cluster).look, cluster.namespace)


async def _fields(request: Request, most: int = _FORM_BYTES) -> dict[str, list[str]]:
    """A form's fields, of a form of at most so many bytes that one of our pages held.

    Raises:
        ConfigError: It is too long, or none of ours.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise ConfigError("this form is too long.")
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=200):
        found.setdefault(name, []).append(value)
    _check_form(request, {name: values[0] for name, values in found.items()})
    return found


def _check_form(request: Request, fields: Mapping[str, str]) -> None:
    if not same_value(fields.get(FORM_FIELD, ""), form_value(request.scope)):
        raise ConfigError("this form is not one that this server has shown, or it is too old. Open its page anew.")


# ---------------------------------------------------------------- home


def _home(app: FastAPI, shared: _App, others: Workspaces | None) -> None:
    def rows() -> list[dict[str, Any]]:
        found = []
        for name in shared.runs.names():
            if re.fullmatch(NAME, name):
                with shared.runs.reading(name) as run:
                    found.append(
                        {"name": name, "life": _life(run, shared), "time": run.time, "headline": headline(run),
                         "report": (shared.root / "reports" / name / "report.html").is_file(),
                         "done": run.settled, "planned": run.planned}
                    )  # fmt: skip
        return found

    @app.get("/")
    def home(request: Request) -> Response:
        searches, fault = search_rows(shared.searches) if shared.searches is not None else ([], "")
        return shared.page(
            request, "home.html", runs=rows(), folders=list(shared.folders),
            others=None if others is None else others.known(), place=PLACE,
            data=[str(each) for each in shared.options.data],
            searches=searches, fault=fault, namespace=shared.options.namespace if shared.searches is not None else "",
        )  # fmt: skip

    @app.get(HEALTH)
    async def healthy() -> Response:  # on no thread, which all may wait for Kubernetes
        return PlainTextResponse("ok\n")


def _workspaces(app: FastAPI, shared: _App, others: Workspaces) -> None:
    @app.post("/open")
    async def open_one(request: Request) -> Response:
        path = (await _fields(request)).get("path", [""])[0].strip()
        name = await anyio.to_thread.run_sync(others.open, path)
        return shared.go(f"{PLACE}/{name}/")

    @app.post("/close")
    async def close(request: Request) -> Response:
        others.close((await _fields(request)).get("name", [""])[0])
        return shared.go("/")

    app.mount(PLACE, others)


def _life(run: Run, shared: _App) -> str:
    life = run.life(shared.root)
    if life != "waiting":
        return life
    if (shared.root / "reports" / run.name / "report.html").is_file():
        return "finished"
    return "failed" if "ended with exit code" in processes.output_of(shared.root, run.name)[-200:] else "waiting"


# ---------------------------------------------------------------- a run


def _shown(run: Run, asked: story.Asked, *, place: str, life: str, here: bool) -> dict[str, Any]:
    """What the page of a run shows, of the workspace (`here`) or of a cluster."""
    return {
        "run": run, "life": life, "live": story.live(run), "latest": story.said(run.latest)[:30], "asked": asked,
        "table": story.table(run, asked), "trial_columns": list(story.COLUMNS), "report": False, "output": "",
        "link": functools.partial(_link, asked), "log_of": _log_of, "race": False, "place": place, "here": here,
        "wishes": Wishes(),
    }  # fmt: skip


def _run_pages(app: FastAPI, shared: _App) -> None:
    def values(run: Run, asked: story.Asked) -> dict[str, Any]:
        life = _life(run, shared)
        output = processes.output_of(shared.root, run.name)
        return _shown(run, asked, place=f"/runs/{run.name}", life=life, here=True) | {
            "report": (shared.root / "reports" / run.name / "report.html").is_file(),
            "output": output if life in ("failed", "waiting") else "",
            "race": processes.race_seconds(shared.root, run.name) is not None,
            "wishes": read_wishes(shared.root, run.name),
        }

    def answer(request: Request, name: str, template: str, asked: story.Asked) -> Response:
        shared.run(name)
        with shared.runs.reading(name) as run:
            links = run_links(shared.options, run) if template == "run.html" else []
            return shared.page(request, template, **values(run, asked), links=links)

    @app.get("/runs/{name}")
    def show(request: Request, name: str, asked: Annotated[story.Asked, Depends(story.asked_for)]) -> Response:
        return answer(request, name, "run.html", asked)

    @app.get("/runs/{name}/live")
    def live(request: Request, name: str, asked: Annotated[story.Asked, Depends(story.asked_for)]) -> Response:
        return answer(request, name, "live.html", asked)

    @app.get("/runs/{name}/studies")
    def studies(request: Request, name: str) -> Response:
        shared.run(name)
        with shared.runs.reading(name) as run:
            return shared.page(request, "studies.html", run=run, life=_life(run, shared), log_of=_log_of)

    def known(name: str) -> None:
        shared.run(name)

    @app.get("/runs/{name}/events", response_class=EventSourceResponse, dependencies=[Depends(known)])
    async def events(
        name: str, after: int = 0, last_event_id: Annotated[str | None, Header()] = None
    ) -> AsyncIterator[ServerSentEvent]:
        """Events after a number, and those to come, each with its number as its id."""
        async for each in _stream(app, functools.partial(shared.runs.events_after, name), after, last_event_id):
            yield each

    if shared.searches is not None:
        add_search_pages(app, shared, shared.searches, values=_shown, stream=functools.partial(_stream, app))

    @app.get("/logs/{file}")
    def log(file: str) -> Response:
        if not re.fullmatch(r"[a-z]+-[0-9a-f]{8}\.log", file):
            raise ConfigError("There is no such log.")
        try:
            text = (shared.root / "logs" / file).read_text(errors="replace")
        except OSError as error:
            raise ConfigError("There is no such log.") from error
        return PlainTextResponse(text[-200_000:])


async def _stream(
    app: FastAPI,
    read: Callable[[int], tuple[list[dict[str, Any]], int]],
    after: int,
    last_event_id: str | None,
    pause: float | None = None,
) -> AsyncIterator[ServerSentEvent]:
    """Send what `read` gives after a number, with the number of the last one that there is, for a while."""
    ends, beat = time.monotonic() + _STREAM_SECONDS, time.monotonic() + _BEAT_SECONDS
    number = int(last_event_id) if last_event_id and re.fullmatch(r"\d{1,15}", last_event_id) else max(0, after)
    while not app.state.closing.is_set() and time.monotonic() < ends:
        found, last = await anyio.to_thread.run_sync(read, number)
        if last < number:  # it was deleted, and has begun anew
            yield ServerSentEvent(event="anew", data={}, id="0")
            number = 0
            continue
        for event in found:
            number = event["n"]
            yield ServerSentEvent(data={"n": number, "words": story.said([event])[0][1]}, id=str(number))
        silent = not found and time.monotonic() > beat
        if silent:
            yield ServerSentEvent(event="beat", data={})
        if found or silent:
            beat = time.monotonic() + _BEAT_SECONDS
        await asyncio.sleep(_LOOK_SECONDS if pause is None else pause)
    if not app.state.closing.is_set():
        yield ServerSentEvent(event="again", data={})


def _link(asked: story.Asked, **changed: Any) -> str:
    """The query of the same table with something changed."""
    new = replace(asked, **changed)
    values = {
        "sort": new.sort, "order": "down" if new.descending else "up", "status": new.status, "search": new.search,
        "words": new.words, "page": new.page,
    }  # fmt: skip
    return urlencode({name: value for name, value in values.items() if value != ""})


def _log_of(reason: str) -> str:
    """The name of the log that a reason points to."""
    found = _LOG.search(reason)
    return found[1] if found else ""


def _run_buttons(app: FastAPI, shared: _App) -> None:
    @app.post("/runs/{name}/stop")
    async def stop(request: Request, name: str) -> Response:
        await _fields(request)
        processes.stop(shared.run(name))
        return shared.go(f"/runs/{name}")

    @app.post("/runs/{name}/pause")
    async def pause(request: Request, name: str) -> Response:
        await _fields(request)
        processes.wish(shared.root, shared.run(name), paused=True)
        return shared.go(f"/runs/{name}")

    @app.post("/runs/{name}/goal")
    async def goal(request: Request, name: str) -> Response:
        text = (await _fields(request)).get("goal", [""])[0].strip()
        try:
            value = float(text) if text else None
        except ValueError:
            value = math.nan
        if value is not None and not math.isfinite(value):
            raise ConfigError(f"`goal` must be a number, or empty for none; got {text[:40]!r}.")
        processes.wish(shared.root, shared.run(name), goal=value)
        return shared.go(f"/runs/{name}")

    @app.post("/runs/{name}/resume")
    async def resume(request: Request, name: str) -> Response:
        await _fields(request)
        run = shared.run(name)
        if run.life(shared.root) in processes.UNDER_WAY:
            processes.wish(shared.root, run, paused=False)
            return shared.go(f"/runs/{name}")
        await anyio.to_thread.run_sync(processes.go_on, shared.root, name)
        return shared.go(f"/runs/{name}")

    @app.get("/runs/{name}/delete")
    def ask(request: Request, name: str) -> Response:
        run = shared.run(name)
        return shared.page(request, "delete.html", run=run, life=_life(run, shared))

    @app.post("/runs/{name}/delete")
    async def delete(request: Request, name: str) -> Response:
        await _fields(request)
        processes.delete(shared.root, shared.run(name))
        shared.runs.forget(name)
        return shared.go("/")


# ---------------------------------------------------------------- reports


def _reports(app: FastAPI, shared: _App) -> None:
    @app.get("/runs/{name}/report")
    def frame(request: Request, name: str) -> Response:
        run = shared.run(name)
        if not (shared.root / "reports" / name / "report.html").is_file():
            raise ConfigError("There is no report yet.")
        tables = sorted((shared.root / "reports" / name / "tables").glob("*.csv"))
        names = [table.name for table in tables]
        return shared.page(request, "report.html", run=run, tables=names, sandbox=REPORT_SANDBOX)

    @app.get("/runs/{name}/report/{path:path}")
    def file(name: str, path: str) -> Response:
        shared.run(name)
        folder = Path(os.path.realpath(shared.root / "reports" / name))
        wanted = Path(os.path.realpath(folder / path))
        kind = _KINDS.get(wanted.suffix)
        if kind is None or not wanted.is_relative_to(folder) or not wanted.is_file():
            raise ConfigError("There is no such file of the report.")
        return FileResponse(wanted, media_type=kind, headers={"content-security-policy": REPORT_CSP})


# ---------------------------------------------------------------- folders of pictures


def _folder_pages(app: FastAPI, shared: _App) -> None:
    @app.get("/new")
    def new(request: Request) -> Response:
        return shared.page(
            request, "new.html", folders=list(shared.folders), limits=shared.options.limits,
            data=[str(each) for each in shared.options.data],
        )  # fmt: skip

    @app.post("/folders")
    async def register(request: Request) -> Response:
        fields = await _fields(request)
        folder = shared.folders.register(fields.get("path", [""])[0].strip(), fields.get("name", [""])[0].strip())
        return shared.go(f"/folders/{folder.name}")

    @app.get("/folders/{name}")
    def show(request: Request, name: str) -> Response:
        folder = shared.folders.get(name)
        examined = shared.examining.ask(folder)
        if examined is None:
            done, total = shared.examining.progress(name)
            return shared.page(request, "examining.html", folder=folder, done=done, total=total)
        return shared.page(
            request, "folder.html", folder=folder, examined=examined, choices=starting.suggested(folder, examined),
            methods=starting.METHODS, encoders=starting.ENCODERS, taken=shared.runs.names(),
            may=starting.guidance_choices(),
        )  # fmt: skip

    @app.get("/folders/{name}/thumbnails/{number}.webp")
    def small(name: str, number: int) -> Response:
        folder = shared.folders.get(name)
        examined = shared.examining.ask(folder)
        made = thumbnail(folder, examined, number) if examined is not None else None
        if made is None:
            raise ConfigError("There is no such picture.")
        return FileResponse(made, media_type="image/webp", headers={"cache-control": "private, max-age=3600"})

    @app.post("/folders/{name}/delete")
    async def delete(request: Request, name: str) -> Response:
        await _fields(request)
        shared.folders.delete(name)
        shared.examining.forget(name)
        return shared.go("/new")


def _uploads(app: FastAPI, shared: _App) -> None:
    @app.post("/uploads")
    async def upload(request: Request) -> Response:
        limits, length = shared.options.limits, request.headers.get("content-length", "")
        if length.isdigit() and int(length) > limits.bytes + 2**20:
            raise DataError(
                f"an upload has at most {limits.bytes:,} bytes; this has {int(length):,}. Register a folder."
            )
        with shared.folders.incoming() as place, _no_room():
            check_room(place, int(length) if length.isdigit() else 0, limits)
            form = await receive(
                request.stream(), request.headers.get("content-type", ""), place, limits,
                check=functools.partial(_check_form, request),
            )  # fmt: skip
            _check_form(request, form.fields)
            wanted = form.fields.get("name", "").strip()
            folder = await anyio.to_thread.run_sync(shared.folders.keep, form, wanted)
        return shared.go(f"/folders/{folder.name}")


@contextlib.contextmanager
def _no_room() -> Any:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"the upload cannot be kept: {error.strerror}. Free some space, or shorten its names."
        ) from error


# ---------------------------------------------------------------- starts


def _starts(app: FastAPI, shared: _App) -> None:
    async def chosen(request: Request, name: str) -> tuple[Folder, Examined, starting.Choices]:
        fields = await _fields(request)
        folder = shared.folders.get(name)
        examined = await anyio.to_thread.run_sync(shared.examining.ask, folder)
        if examined is None:
            raise WorkspaceError("The folder is still being looked at. Wait for it to end.")
        plain = {field: values[0] for field, values in fields.items()}
        return folder, examined, starting.read_choices(plain, fields.get("methods", []))

    @app.post("/folders/{name}/plan")
    async def plan(request: Request, name: str) -> Response:
        folder, examined, choices = await chosen(request, name)

        def look() -> dict[str, Any]:
            from ctlr.api import load

            file = starting.write_benchmark(shared.root, folder, examined, choices, planned=True)
            asked = functools.partial(load(file).plan, shared.root, workers=choices.workers or None)
            preview = asked()
            if preview.estimated_seconds is None:  # no earlier run shows what an image costs here
                preview = asked(measured=True)
            return {"preview": preview, "text": file.read_text()}

        found = await anyio.to_thread.run_sync(look)
        return shared.page(
            request, "plan.html", folder=folder, choices=choices, methods=choices.methods, **found,
            command=shlex.join(["ctlr", "run", "FILE", "-w", str(shared.root)]),
        )  # fmt: skip

    @app.post("/folders/{name}/automl")
    async def search(request: Request, name: str) -> Response:
        fields = await _fields(request)
        folder = shared.folders.get(name)
        plain = {field: values[0] for field, values in fields.items()}
        run, words = await anyio.to_thread.run_sync(starting.automl_words, folder, plain, shared.options.data)
        refuse_taken(run)
        await anyio.to_thread.run_sync(processes.start, shared.root, run, words)
        return shared.go(f"/runs/{run}")

    @app.post("/folders/{name}/automl/plan")
    async def search_plan(request: Request, name: str) -> Response:
        fields = await _fields(request)
        folder = shared.folders.get(name)
        plain = {field: values[0] for field, values in fields.items()}

        def look() -> dict[str, Any]:
            run, words = starting.automl_words(folder, plain, shared.options.data)
            told = processes.look(shared.root, [*words, "--dry-run"])
            minutes, workers = float(plain["minutes"]), int(plain.get("workers") or 0) or len(os.sched_getaffinity(0))
            return {
                "run": run, "told": told, "minutes": minutes, "workers": workers,
                "text": (shared.root / "automl" / f"{run}.yaml").read_text(),
                "command": shlex.join(["ctlr", *words, "-w", str(shared.root)]),
            }  # fmt: skip

        found = await anyio.to_thread.run_sync(look)
        kept = {field: text for field, text in plain.items() if field != FORM_FIELD}
        return shared.page(request, "automl.html", folder=folder, fields=kept, **found)

    def refuse_taken(name: str) -> None:
        if (shared.root / "runs" / name).exists():
            raise WorkspaceError(f"A run {name!r} is there already. Choose another name, or delete it.")

    @app.post("/folders/{name}/start")
    async def start(request: Request, name: str) -> Response:
        folder, examined, choices = await chosen(request, name)
        refuse_taken(choices.name)

        def begin() -> None:
            file = starting.write_benchmark(shared.root, folder, examined, choices)
            words = ["run", str(file)] + (["--workers", str(choices.workers)] if choices.workers else [])
            processes.start(shared.root, choices.name, words)

        await anyio.to_thread.run_sync(begin)
        return shared.go(f"/runs/{choices.name}")
