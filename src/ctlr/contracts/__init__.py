"""What CTLR expects of a method, an encoder and a kind of data, as code: each promise is a function that tries it.

The tests run all of them over whatever the tables hold; `ctlr plugins check` runs them on a user's own parts.
"""

from ctlr.contracts import data, encoders, families, methods
from ctlr.contracts._given import GivenParts, parts_to_try
from ctlr.contracts._suite import Finding, check_part, has_words, loads_quickly, promised

__all__ = [
    "Finding",
    "GivenParts",
    "check_part",
    "data",
    "encoders",
    "families",
    "has_words",
    "loads_quickly",
    "methods",
    "parts_to_try",
    "promised",
]
