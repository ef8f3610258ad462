"""The routes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from threadpoolctl import threadpool_limits

from ctlr import __version__
from ctlr.data.inputs import given_cells
from ctlr.data.preparation import check_images
from ctlr.errors import CtlrError, DataError
from ctlr.monitoring import Reference
from ctlr.serving._files import FilePrediction, predicted, preparation_for, worded
from ctlr.serving._model import Model
from ctlr.serving.http.batching import Batcher, Busy
from ctlr.serving.http.limits import Limits
from ctlr.serving.http.metrics import Metrics
from ctlr.serving.http.protocol import HEADER_LENGTH, answered, metadata, parsed
from ctlr.serving.http.uploads import Upload, prepared
from ctlr.serving.http.watching import Watch
from ctlr.specs import ModelCard

__all__ = ["create_app"]

_SLOW = 0.5
"""Seconds of a first pass above which a server's start does not wait for more of them."""


def create_app(
    model: Model,
    name: str = "model",
    *,
    limits: Limits | None = None,
    reference: Reference | None = None,
    window: int = 100,
    monitor: Path | None = None,
) -> Starlette:
    """The server's application.

    Args:
        model: That predicts.
        name: Of the model, in the protocol's paths.
        limits: By default as they stand.
        reference: That incoming images are compared with; None watches nothing.
        window: Images that are judged together.
        monitor: File that the state of the watch is written to.
    """
    return _Server(model, name, limits or Limits(), reference, window, monitor).app


class _Server:
    """What the routes share."""

    def __init__(
        self, model: Model, name: str, limits: Limits, reference: Reference | None, window: int,
        monitor: Path | None,
    ) -> None:  # fmt: skip
        self.model, self.name, self.limits = model, name, limits
        self.metrics = Metrics()
        self.watch = None
        if reference is not None:
            self.watch = Watch(reference, model.card, window=window, file=monitor, told=self.metrics.judged)
        self.threads = ThreadPoolExecutor(limits.threads, "prepare")
        self.batcher: Batcher | None = None
        self.paired = False
        own = "/v2/models/{name}"
        routes = [Route("/", self.about), Route("/v2", self.about), Route("/v2/health/live", self.live),
                  Route("/v2/health/ready", self.ready), Route("/v1/predict", self.predict, methods=["POST"]),
                  Route("/v1/drift", self.drift), Route("/metrics", self.measured)]  # fmt: skip
        for place in (own, f"{own}/versions/{{version}}"):
            routes += [Route(place, self.about_model), Route(f"{place}/ready", self.model_ready),
                       Route(f"{place}/infer", self.infer, methods=["POST"])]  # fmt: skip
        self.app = Starlette(
            routes=routes, lifespan=self.lifespan,
            middleware=[Middleware(_Guarded, metrics=self.metrics, body=limits.body)],
            exception_handlers={CtlrError: _refused, HTTPException: _not_found, Busy: _busy, 500: _failed},
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Ready while the block runs."""
        self.paired = await self._in_thread(self._pairs_are_faster)
        self.batcher = Batcher(self._predict, self.limits, self.metrics.batched)
        self.batcher.start()
        try:
            with threadpool_limits(1, user_api="blas"):  # files are prepared side by side; torch has pools of its own
                yield
        finally:
            batcher, self.batcher = self.batcher, None
            await batcher.stop()
            self.threads.shutdown()
            if self.watch is not None:
                await asyncio.to_thread(self.watch.close)

    def _pairs_are_faster(self) -> bool:
        """Whether an image alone is predicted sooner as two: PyTorch convolves small batches without oneDNN.

        The thread's own time is compared, which other work on the machine hardly changes. The passes also choose and
        compile what the first request would wait for.
        """
        seconds, card = [], self.model.card
        for n in (1, 1, 2, 2):
            unknown = {column.name: [None] * n for column in card.inputs}
            began = time.thread_time()
            self.model.predict(np.zeros((n, *card.shape), np.float32), inputs=unknown, trusted=True)
            seconds.append(time.thread_time() - began)
            if seconds[0] > _SLOW:
                return False
        return seconds[3] < seconds[1]

    def _predict(self, images: Any, cells: Any) -> Any:
        if self.paired and len(images) == 1:
            twice = {name: [cell, cell] for name, (cell,) in cells.items()}
            found = self.model.predict_each(np.concatenate([images, images]), inputs=twice, trusted=True)
            return {target: values[:1] for target, values in found.items()}
        return self.model.predict_each(images, inputs=cells, trusted=True)

    async def _predicted(self, images: Any, cells: Any) -> Any:
        if self.batcher is None:
            raise HTTPException(503, "the server is stopping. Ask another one.")
        values = await self.batcher.predict(images, cells)
        if self.watch is not None:
            self.watch.note(images, cells, values[self.model.card.target])
        return values

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)

    # ------------------------------------------------------------ version 2

    async def about(self, request: Request) -> Response:
        """The server."""
        return JSONResponse({"name": "ctlr", "version": __version__, "extensions": ["binary_tensor_data"]})

    async def live(self, request: Request) -> Response:
        """That it runs."""
        return JSONResponse({"live": True})

    async def ready(self, request: Request) -> Response:
        """That it predicts."""
        return JSONResponse({"ready": self.batcher is not None}, 200 if self.batcher else 503)

    async def about_model(self, request: Request) -> Response:
        """The model's tensors."""
        self._named(request)
        return JSONResponse(metadata(self.model.card, self.name))

    async def model_ready(self, request: Request) -> Response:
        """That the model predicts."""
        self._named(request)
        return JSONResponse({"name": self.name, "ready": self.batcher is not None}, 200 if self.batcher else 503)

    async def infer(self, request: Request) -> Response:
        """Predict prepared images, with the columns beside them."""
        self._named(request)
        asked = await self._in_thread(self._asked, await request.body(), request.headers.get(HEADER_LENGTH))
        values = await self._predicted(asked.images, asked.cells)
        body, headers = answered(values, asked, self.model.card, self.name)
        return Response(body, headers=headers)

    def _asked(self, body: bytes, length: str | None) -> Any:
        card = self.model.card
        asked = parsed(body, length, card)
        check_images(asked.images, card.shape, card.preparation)
        return asked

    def _named(self, request: Request) -> None:
        name, version = request.path_params["name"], request.path_params.get("version", "1")
        if name != self.name:
            raise HTTPException(404, f"the model is called {self.name!r}; got {name!r:.80}. Correct the path.")
        if version != "1":
            raise HTTPException(404, f"the model's version is '1'; got {version!r:.80}. Correct the path.")

    # ------------------------------------------------------------ files

    async def predict(self, request: Request) -> Response:
        """Predict files: parts `file`, and `mask` and fields of columns after the file that they belong to."""
        card, preparation = self.model.card, preparation_for(self.model)
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise HTTPException(
                415, "files must come as multipart/form-data in parts called `file`. E.g. curl -F file=@IMAGE."
            )
        most = self.limits.files
        async with request.form(max_files=2 * most, max_fields=8 + most * len(card.inputs)) as form:
            uploads = _uploads(form.multi_items(), [column.name for column in card.inputs])
            if len(uploads) > most:
                raise DataError(f"at most {most} files a request; got {len(uploads)}. Send several.")
            for upload in uploads:
                _check_cells(upload, card)
            found: list[FilePrediction] = await self._in_thread(prepared, uploads, preparation)
        fitting = [place for place, each in enumerate(found) if each.image is not None]
        if fitting:
            cells = {each.name: [uploads[place].cells[each.name] for place in fitting] for each in card.inputs}
            cells = given_cells(card.inputs, cells, len(fitting))
            images = np.stack([each.image for each in found if each.image is not None])
            values = await self._predicted(images, cells)
            for row, place in enumerate(fitting):
                found[place] = predicted(found[place], {target: each[row] for target, each in values.items()})
        self.metrics.refused.inc(len(found) - len(fitting))
        rows = [
            {"file": each.file.name} | ({"reason": each.reason} if each.image is None else worded(each, card))
            for each in found
        ]
        return JSONResponse({"model": self.name, "target": card.target, "predictions": rows}, 200 if fitting else 400)

    # ------------------------------------------------------------ what it is like

    async def drift(self, request: Request) -> Response:
        """Whether what comes in is like what the model was trained on."""
        if self.watch is None:
            raise HTTPException(404, "the model's folder has no monitoring.json. Run its benchmark again.")
        return JSONResponse(self.watch.state())

    async def measured(self, request: Request) -> Response:
        """Metrics."""
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _uploads(parts: list[tuple[str, UploadFile | str]], columns: Sequence[str]) -> list[Upload]:
    found: list[Upload] = []
    for part, value in parts:
        if isinstance(value, str):
            if part not in columns:
                told = f", and fields {', '.join(map(repr, columns))}" if columns else ""
                raise DataError(
                    f"parts must be files called `file` or `mask`{told}; got {part!r:.80}. Rename or remove it."
                )
            if not found or part in found[-1].cells:
                raise DataError(
                    f"the field {part!r} must follow the `file` that it belongs to, once. Send the file first."
                )
            found[-1].cells[part] = value
            continue
        name = Path((value.filename or "").replace("\\", "/")).name[:200]
        if part == "file":
            found.append(Upload(name, value.file))
        elif part != "mask":
            raise DataError(f"parts must be files called `file` or `mask`; got {part!r:.80}. Rename or remove it.")
        elif not found or found[-1].mask is not None:
            raise DataError("a `mask` must follow the `file` that it belongs to. Send the file first.")
        else:
            found[-1] = replace(found[-1], mask=(name, value.file))
    if not found:
        raise DataError("a request must have a part called `file`; it has none. E.g. curl -F file=@IMAGE.")
    return found


def _check_cells(upload: Upload, card: ModelCard) -> None:
    wanted = [column.name for column in card.inputs]
    if lacking := [name for name in wanted if name not in upload.cells]:
        raise DataError(
            f"{upload.name}: the model reads {', '.join(map(repr, wanted))} beside the image; {lacking[0]!r} is not "
            "given. Send it as a field after its `file`, empty where it is unknown."
        )
    given_cells(card.inputs, {name: [cell] for name, cell in upload.cells.items()}, 1)


# ---------------------------------------------------------------- what goes wrong


def _error(code: int, told: str, **headers: str) -> Response:
    return JSONResponse({"error": told}, code, headers=headers)


async def _refused(request: Request, error: Exception) -> Response:
    return _error(400, str(error))


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail, **(error.headers or {}))


async def _busy(request: Request, error: Exception) -> Response:
    return _error(503, "too many images wait already. Ask again in a second, or start another server.",
                  **{"retry-after": "1"})  # fmt: skip


async def _failed(request: Request, error: Exception) -> Response:
    return _error(500, "the server failed; its log says why.")


class _Guarded:
    """Measures each request, and refuses a body beyond the limit: none of it is kept."""

    def __init__(self, app: ASGIApp, metrics: Metrics, body: int) -> None:
        self._app, self._metrics, self._body = app, metrics, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, seen, code = time.perf_counter(), 0, 500

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._body:
                # A client that is cut off while it sends reads no answer: as much again is thrown away.
                while seen <= 2 * self._body and message.get("more_body"):
                    message = await receive()
                    seen += len(message.get("body", b""))
                told = f"a request must have at most {self._body} bytes. Send fewer images."
                raise HTTPException(413, told, headers={"connection": "close"})
            return message

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, counted, noted)
        finally:
            route = getattr(scope.get("endpoint"), "__name__", "other")
            self._metrics.requests.labels(route, str(code)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - began)
