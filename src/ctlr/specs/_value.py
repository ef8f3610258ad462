"""The base of all values, and their identity."""

from __future__ import annotations

import hashlib
import json
import re

from pydantic import BaseModel, ConfigDict

__all__ = ["Value", "dns_name", "fingerprint"]


def fingerprint(*parts: str) -> str:
    """Digest of the parts in order: 24 hexadecimal digits (96 bits) of SHA-256."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()[:24]


def dns_name(text: str, limit: int = 63) -> str:
    """Turn text into a DNS-1123 label: lower case, digits and '-', a letter first, at most `limit` long."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    if not name or not name[0].isalpha():
        name = f"x-{name}".rstrip("-")
    return name[:limit].rstrip("-")


class Value(BaseModel):
    """A frozen value. Equal content has an equal identity, on every machine.

    Types are strict (`"20"` is no number); validate untrusted input with `model_validate_json`,
    which takes JSON's lists for tuples.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        defer_build=True,
    )

    def __hash__(self) -> int:
        """Of the content, mappings among it too."""
        try:
            return hash(tuple(self.__dict__.values()))
        except TypeError:
            return hash(json.dumps(self.model_dump(mode="json"), sort_keys=True))

    @classmethod
    def about(cls) -> str:
        """The first line of what it says of itself."""
        return next(iter((cls.__doc__ or "").strip().splitlines()), "")

    def identity(self) -> str:
        """Digest of the content, in field order; 24 hexadecimal digits."""
        return fingerprint(self.model_dump_json())
