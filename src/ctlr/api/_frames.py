"""Records as pandas tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ctlr.errors import require

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["frame"]


def frame(records: Iterable[Mapping[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    """One row a record; what a record lacks, and an empty text, is missing (NaN or None).

    Args:
        records: In order.
        columns: Those that stand first, and also where there is no record; others follow as they appear.

    Raises:
        MissingExtraError: pandas is not installed.
    """
    pandas = require("pandas", extra="pandas")
    rows = [{key: None if value == "" else value for key, value in record.items()} for record in records]
    names = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    return pandas.DataFrame({name: [row.get(name) for row in rows] for name in names})
