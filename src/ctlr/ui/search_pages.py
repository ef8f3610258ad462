"""The routes of searches on a cluster: the pages of a run, over what Kubernetes says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Protocol

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from ctlr.errors import ClusterError, ConfigError
from ctlr.runs import Runs, headline
from ctlr.ui import story
from ctlr.ui.links import Link, katib_links, pipelines_link
from ctlr.ui.options import Options
from ctlr.ui.searches import Found, Searches

__all__ = ["add_search_pages", "search_rows"]


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

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
        """A page of a template."""
        ...


def search_rows(searches: Searches) -> tuple[list[dict[str, Any]], str]:
    """Rows of a list of them, and why there are none where the cluster does not answer."""
    try:
        found = searches.all()
    except ClusterError as error:
        return [], error.reason or str(error)
    return [
        {
            "name": name, "life": each.life, "time": each.run.time, "headline": headline(each.run),
            "searches": len(each.listed), "trials": sum(len(listed.trials) for listed in each.listed),
        }
        for name, each in found.items()
    ], ""  # fmt: skip


def add_search_pages(
    app: FastAPI,
    shared: Shared,
    searches: Searches,
    *,
    values: Callable[..., dict[str, Any]],
    stream: Callable[..., AsyncIterator[ServerSentEvent]],
) -> None:
    """Add the pages to an app.

    Args:
        app: The app.
        shared: What its pages share.
        searches: Of the namespace.
        values: What the page of a run shows.
        stream: Sends the events that a function gives after a number.
    """

    def find(name: str) -> Found:
        found = searches.all().get(name)
        if found is None:
            raise ConfigError(f"There is no search {name[:60]!r} in the namespace {searches.namespace}.")
        return found

    def links(name: str, found: Found) -> list[Link]:
        runs = sorted({each.run for each in found.listed if each.run})
        there = [link for run in runs for link in pipelines_link(shared.options, run)]
        benchmark = name.rpartition("-")[0]
        if benchmark in shared.runs.names() and shared.runs.read(benchmark).submission == name:
            there.insert(0, (f"its run {benchmark}", f"{shared.options.prefix}/runs/{benchmark}"))
        return there + katib_links(shared.options, [each.name for each in found.listed])

    def answer(request: Request, name: str, template: str, asked: story.Asked) -> Response:
        found = find(name)
        shown = values(found.run, asked, place=f"/searches/{name}", life=found.life, here=False)
        return shared.page(request, template, **shown, links=links(name, found) if template == "run.html" else [])

    @app.get("/searches/{name}")
    def show(request: Request, name: str, asked: Annotated[story.Asked, Depends(story.asked_for)]) -> Response:
        return answer(request, name, "run.html", asked)

    @app.get("/searches/{name}/live")
    def live(request: Request, name: str, asked: Annotated[story.Asked, Depends(story.asked_for)]) -> Response:
        return answer(request, name, "live.html", asked)

    def known(name: str) -> None:
        find(name)

    @app.get("/searches/{name}/events", response_class=EventSourceResponse, dependencies=[Depends(known)])
    async def events(
        name: str, after: int = 0, last_event_id: Annotated[str | None, Header()] = None
    ) -> AsyncIterator[ServerSentEvent]:
        """Events after a number, and those to come; while the cluster does not answer there are none."""

        def read(number: int) -> tuple[list[dict[str, Any]], int]:
            try:
                told = find(name).events
            except (ClusterError, ConfigError):
                return [], number
            return [event for event in told if event["n"] > number], len(told)

        async for each in stream(read, after, last_event_id, pause=2.0):
            yield each
