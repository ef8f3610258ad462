"""How the app is served."""

from __future__ import annotations

import ipaddress
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from ctlr.errors import ConfigError

__all__ = ["Limits", "Options", "checked"]

_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LEAST_TOKEN = 16


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is taken of an upload."""

    bytes: int = 4 * 2**30
    """Of a request, and of all that an archive holds."""
    files: int = 200_000
    """Of an upload, whatever they are."""
    ratio: float = 200.0
    """Bytes that come of one byte of an archive's entry."""
    free: int = 2**30
    """Bytes that stay free on the disk."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How the app is served; `checked` makes one."""

    workspace: Path
    host: str = "127.0.0.1"
    port: int = 8080
    prefix: str = ""
    """Path below which a proxy shows the app, without a slash at its end."""
    token: str = ""
    """What whoever opens the app must know; empty where nobody need."""
    hosts: tuple[str, ...] = ()
    """Names that requests may be sent to, besides those of this machine's loopback; `*` for any."""
    user_header: str = ""
    """Header of a proxy that says who asks; trusted."""
    users: tuple[str, ...] = ()
    """Who may use the app, as that header says them; empty for all whom the namespace lets in."""
    namespace: str = ""
    """Namespace of a cluster in which that header's users must have rights, and whose searches are shown."""
    data: tuple[Path, ...] = ()
    """Folders below which folders of pictures may be registered."""
    limits: Limits = field(default_factory=Limits)
    monitor: Path | None = None
    """File that `ctlr serve --monitor` writes."""
    volumes: bool = False
    """Whether slices of volumes that are not public are shown."""

    @property
    def loopback(self) -> bool:
        """Whether this machine alone reaches the app."""
        return _is_loopback(self.host)


def checked(
    workspace: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    prefix: str = "",
    token: str | None = None,
    hosts: tuple[str, ...] = (),
    user_header: str = "",
    users: tuple[str, ...] = (),
    namespace: str = "",
    data: tuple[Path, ...] = (),
    monitor: Path | None = None,
    volumes: bool = False,
) -> Options:
    """Options that may be served; a token is drawn where one is needed and none is given.

    Args:
        token: None where none is given.

    Raises:
        ConfigError: A rule is broken; names the option.
    """
    if not _PREFIX.fullmatch(prefix.rstrip("/")):
        raise ConfigError(f"`--root-path` must be a path such as /ctlr; got {prefix!r}.")
    if token is not None and len(token) < _LEAST_TOKEN:
        raise ConfigError(f"`--token` must have at least {_LEAST_TOKEN} characters; it has {len(token)}. Leave it out.")
    if (user_header and not (users or namespace)) or (users and not user_header):
        raise ConfigError(
            "`--trust-header` says who asks, and `--user` or `--namespace` who may: give both. Without them, a token "
            "keeps others out."
        )
    if user_header and token is not None:
        raise ConfigError("Whom `--trust-header` names needs no `--token`, and a token lets nobody in there: give one.")
    if namespace and not _NAMESPACE.fullmatch(namespace):
        raise ConfigError(f"`--namespace` must be the name of a Kubernetes namespace such as alice; got {namespace!r}.")
    if token is None and not _is_loopback(host) and not user_header:
        token = secrets.token_urlsafe(24)
    everywhere = _is_loopback(host) and not user_header and "*" not in hosts
    places = data or ((Path("/"),) if everywhere else (workspace / "data",))
    return Options(
        workspace=workspace.absolute(), host=host, port=port, prefix=prefix.rstrip("/"), token=token or "",
        hosts=hosts, user_header=user_header.lower(), users=users, namespace=namespace,
        data=tuple(each.absolute() for each in places), monitor=monitor and monitor.absolute(), volumes=volumes,
    )  # fmt: skip


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
