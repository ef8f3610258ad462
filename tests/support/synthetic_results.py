"""The synthetic results of the report's own tests, for other tests."""

import functools
import importlib.util
import sys
from pathlib import Path
from typing import Any

__all__ = ["synthetic_results"]


@functools.cache
def synthetic_results() -> Any:
    """What `tests/report/conftest.py` makes benchmarks of."""
    spec = importlib.util.spec_from_file_location("synthetic_results_of_reports", _CONFTEST)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_CONFTEST = Path(__file__).parents[1] / "report" / "conftest.py"
