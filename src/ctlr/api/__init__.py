"""What `import ctlr` offers: benchmarks and searches as values of Python.

_file.py        a benchmark's file: looked at, run
_preview.py     what a run would do
_benchmark.py   what a run left: tables, report, the best model
_automl.py      a model from pictures in one step
_best.py        the best method, and how sure that is
_reading.py     what the report computes; nothing else here knows its parts
_tune.py        a search whose trials are calls of a Python function
_watching.py    who is told while a run goes on; _told.py: a function
_frames.py      records as pandas tables; _html.py: as HTML, for notebooks
"""

from ctlr.api._automl import ImageClassifier, ImageRegressor
from ctlr.api._benchmark import Benchmark, open
from ctlr.api._best import Best, Estimated
from ctlr.api._file import BenchmarkFile, load
from ctlr.api._preview import Preview
from ctlr.api._tune import Tuned, tune
from ctlr.api._watching import Progress

__all__ = [
    "Benchmark",
    "BenchmarkFile",
    "Best",
    "Estimated",
    "ImageClassifier",
    "ImageRegressor",
    "Preview",
    "Progress",
    "Tuned",
    "load",
    "open",
    "tune",
]
