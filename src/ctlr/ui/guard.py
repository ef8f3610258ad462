"""Who may ask, and what browsers may do with an answer.

Requests meet these rules in this order, before any route sees them:

1. A host that is not known is refused: a foreign page whose name was bound to this address (DNS rebinding) reads
   nothing.
2. Who asks must be known, by the header of a trusted proxy or by the token, once in the address and then as a cookie.
   Whom the header names must be on the list, and have rights in the namespace, where these are given.
3. A request that changes something must come from a page of ours: by its `Origin`, and by a value that the form holds
   and a cookie repeats (`Forms`), which no other site can read.

Whether the app is well is told to all, since a node that asks has neither name nor token. Answers forbid scripts and
styles that are not files of ours, frames of others and guesses of content types.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

import anyio.to_thread
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ctlr.report.theme.templating import script_source
from ctlr.ui.access import CHANGE, LOOK, Access
from ctlr.ui.options import Options

__all__ = ["CSP", "FORM_FIELD", "HEALTH", "REPORT_CSP", "REPORT_SANDBOX", "Guard", "form_value", "same_value"]

HEALTH = "/healthz"
"""Path of the page that is open to all."""

FORM_FIELD = "form"
"""Name of the field, and part of the cookie's name, that a form has to hold."""

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-src 'self'; frame-ancestors 'none'"
)
REPORT_SANDBOX = "allow-downloads allow-popups allow-scripts"
REPORT_CSP = (
    f"sandbox {REPORT_SANDBOX}; default-src 'none'; script-src {script_source()}; style-src 'unsafe-inline'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""A report needs its own styles and pictures, and is a foreign site otherwise: it holds names from data. Of scripts the
page's own runs, as this version of CTLR writes it."""

_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_LOOKING = ("GET", "HEAD")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FORM_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


class Guard:
    """Lets those requests through to an app that keep the rules.

    Args:
        app: The app.
        options: Say the rules.
        access: Who may use the namespace; None where there is none.
    """

    def __init__(self, app: ASGIApp, options: Options, access: Access | None = None) -> None:
        self._app, self._options, self._access = app, options, access
        # Kubeflow's dashboard shows apps in a frame of the same origin.
        self._csp = CSP.replace("frame-ancestors 'none'", "frame-ancestors 'self'") if options.user_header else CSP
        self._suffix = hashlib.sha256(f"{options.workspace} {options.port}".encode()).hexdigest()[:8]
        """Cookies do not know ports: two apps on one machine need names of their own."""
        self._pass = hmac.new(options.token.encode(), b"ctlr ui", "sha256").hexdigest()
        self._hosts = {*_LOOPBACK, *options.hosts} | ({options.host} if options.host != "0.0.0.0" else set())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = self._below_prefix(scope)
        headers = Headers(scope=scope)
        cookies = cookie_parser("; ".join(headers.getlist("cookie")))
        value = cookies.get(f"ctlr-{FORM_FIELD}-{self._suffix}", "")
        fresh = "" if _FORM_VALUE.fullmatch(value) else secrets.token_urlsafe(32)
        scope.setdefault("state", {})["form"] = fresh or value
        refusal = await self._refusal(scope, headers, cookies)

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._seal(MutableHeaders(scope=message), scope, fresh)
            await send(message)

        if refusal is not None:
            await refusal(scope, receive, sealed)
        else:
            await self._app(scope, receive, sealed)

    def _below_prefix(self, scope: Scope) -> Scope:
        """The request with the prefix in its path, which some proxies take away."""
        path, prefix = scope["path"], self._options.prefix
        if path != prefix and not path.startswith(f"{prefix}/"):
            path = prefix + path
        return {**scope, "path": path, "root_path": prefix}

    async def _refusal(self, scope: Scope, headers: Headers, cookies: Mapping[str, str]) -> Response | None:
        looks = scope["method"] in _LOOKING
        if looks and scope["path"] == self._options.prefix + HEALTH:
            return None
        if not self._is_ours(headers.get("host", "")):
            return _refuse(421, "This name is not one of this server's. Give it with `ctlr ui --allow-host NAME`.")
        if self._options.user_header:
            refusal = await self._unwelcome(headers.getlist(self._options.user_header), LOOK if looks else CHANGE)
        else:
            refusal = self._unknown(scope, headers, cookies)
        if refusal is not None:
            return refusal
        if not looks and not self._comes_from_us(headers):
            return _refuse(403, "This request comes from another site. Open the page anew and send the form again.")
        return None

    def _is_ours(self, host: str) -> bool:
        name = _name_of(host)
        if "*" in self._hosts or name in self._hosts:
            return True
        # An address is no name that somebody could bind to this one; who knows the token may use any.
        return not self._options.loopback and bool(self._options.token) and _is_address(name)

    async def _unwelcome(self, users: list[str], verb: str) -> Response | None:
        if len(users) != 1 or not users[0]:  # the proxy names one; a second one is the browser's own
            return _refuse(401, f"The header {self._options.user_header} has to name one user. Come through the proxy.")
        if self._options.users and users[0] not in self._options.users:
            return _refuse(403, "This app belongs to somebody else.")
        if self._access is None:
            return None
        refusal = await anyio.to_thread.run_sync(self._access.refusal, users[0], verb)
        return refusal and _refuse(*refusal)

    def _unknown(self, scope: Scope, headers: Headers, cookies: Mapping[str, str]) -> Response | None:
        options = self._options
        if not options.token:
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = dict(query).get("token", "")
        if scope["method"] == "GET" and given and same_value(given, options.token):
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            answer = RedirectResponse("/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else ""), 303)
            self._bake(answer.headers, scope, "token", self._pass)
            return answer
        words = headers.get("authorization", "")
        if same_value(words.removeprefix("Bearer "), options.token) and words.startswith("Bearer "):
            return None
        if same_value(cookies.get(f"ctlr-token-{self._suffix}", ""), self._pass):
            return None
        return _refuse(401, "A token is needed: open the address that `ctlr ui` printed when it began.")

    def _comes_from_us(self, headers: Headers) -> bool:
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:  # which no page can write; a proxy may have changed the host, not this
            return site in ("same-origin", "none")
        try:
            return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
        except ValueError:
            return False

    def _seal(self, headers: MutableHeaders, scope: Scope, fresh: str) -> None:
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("content-security-policy", self._csp)
        headers.setdefault("cache-control", "no-store")
        if fresh and headers.get("content-type", "").startswith("text/html"):  # the one that holds forms
            self._bake(headers, scope, FORM_FIELD, fresh)

    def _bake(self, headers: MutableHeaders, scope: Scope, name: str, value: str) -> None:
        secure = "; Secure" if scope["scheme"] == "https" else ""
        path = self._options.prefix or "/"
        # Whoever follows a link with the token in it comes from another site.
        site = "Lax" if name == "token" else "Strict"
        headers.append(
            "set-cookie", f"ctlr-{name}-{self._suffix}={value}; Path={path}; HttpOnly; SameSite={site}{secure}"
        )


def form_value(scope: Scope) -> str:
    """What a form on a page has to hold, and bring back."""
    return str(scope["state"]["form"])


def same_value(one: str, other: str) -> bool:
    """Whether two secrets are equal; the time it takes tells nothing of where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def _refuse(status: int, words: str) -> Response:
    return PlainTextResponse(words + "\n", status)


def _name_of(host: str) -> str:
    """A host header without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
