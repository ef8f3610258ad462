"""What may not travel: paths, subject ids, dates, addresses and image names are cut out of free text.

The values that a report draws on are free of them by contract; this is the second lock, for text
that came from an exception, a command line or a file that somebody wrote.
"""

from __future__ import annotations

import re

__all__ = ["scrub"]

_END = r"[^\s'\"<>|,;]"
"""A character that may continue an unquoted path."""
_RULES: tuple[tuple[str, str], ...] = (
    # A quoted path may hold spaces, so the whole quotation goes.
    (r"""(['"])(?:file://|~\w*/|/(?=[^/\s])|[A-Za-z]:[\\/]|\\\\)[^'"\n]*\1""", "[path]"),
    (rf"file://{_END}+", "[path]"),
    # A word with a slash right after a path that a space broke belongs to it: /home/Jane Doe/scans.
    (rf"(?<![\w\]./<])(?:~\w*)?/(?=[\w.~-]){_END}*(?: [^\s'\"/]*/{_END}*)*(?<![.:)])", "[path]"),
    (rf"/(?:home|Users)/{_END}+", "[path]"),
    (rf"(?<!\w)(?:[A-Za-z]:[\\/]|\\\\){_END}+", "[path]"),
    (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*", "[address]"),
    (r"(?i)[^\s'\"/]+\.(?:nii(?:\.gz)?|dcm|mgz|png|jpe?g|tiff?|bmp)\b", "[image]"),
    (r"\bsub-(?:[A-Za-z]*\d[A-Za-z0-9]*|[A-Za-z0-9]+(?=[/_:]))", "[subject]"),
    (r"\b(?:19|20)\d\d([-/])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12]\d|3[01])(?:[T ]\d\d:\d\d(?::\d\d)?)?\b", "[date]"),
    (r"\b(?:0?[1-9]|[12]\d|3[01])([-/.])(?:0?[1-9]|1[0-2])\1(?:19|20)\d\d\b", "[date]"),
)
_COMPILED = tuple((re.compile(pattern), word) for pattern, word in _RULES)


def scrub(text: str) -> str:
    """Replace what could name a person or a place on a disk.

    Absolute and home paths, BIDS subject ids, image file names, calendar dates, and user@host each leave a
    bracketed word. Relative paths, URLs of the web and version numbers stay.
    """
    for pattern, word in _COMPILED:
        text = pattern.sub(word, text)
    return text
