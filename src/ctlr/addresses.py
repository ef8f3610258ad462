"""Addresses of servers, which files, logs and messages repeat: no secret is in them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

__all__ = ["fault_of_address", "public_address"]

_SECRET = re.compile(r"(?<=[/\\])[^/\\]*@|[?#;].*", re.DOTALL)
"""Who asks, and what follows a path."""


def fault_of_address(address: str) -> str:
    """Why an address is not one of http or https that everybody may read; empty where it is."""
    try:
        found = urlsplit(address)
        right = found.scheme in {"http", "https"} and found.hostname and found.port != 0
    except ValueError:  # its port, or its brackets
        right = False
    if not right or re.search(r"[\s\x00-\x1f\\]", address):
        return f"must be an http or https address, e.g. http://host:8080; got {public_address(address)!r}"
    if "@" in found.netloc:
        return "must hold no user or password, since addresses are written down"
    if _SECRET.search(address):
        return "must end with its path: what follows `?`, `#` or `;`, perhaps a token, would be written down"
    return ""


def public_address(address: str) -> str:
    """An address without what may be a secret, for messages."""
    return _SECRET.sub("", address)
