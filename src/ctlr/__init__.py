"""CTLR: which transfer-learning method, tuned how, and what does it gain over training from scratch?

    import ctlr

    benchmark = ctlr.load("study.yaml").run(progress=True)
    benchmark.gains            # a pandas DataFrame
    print(benchmark.best())    # the best method, how good, how sure, and its model

What stands in `__all__` is public; each name is loaded when it is first used, so that importing ctlr is quick.
"""

TYPE_CHECKING = False  # as typing has it, which would be most of the time that importing this takes
if TYPE_CHECKING:
    from ctlr import blocks, serving, space
    from ctlr.api import (
        Benchmark,
        BenchmarkFile,
        Best,
        Estimated,
        ImageClassifier,
        ImageRegressor,
        Preview,
        Progress,
        Tuned,
        load,
        open,
        tune,
    )
    from ctlr.errors import (
        ClusterError,
        ConfigError,
        CtlrError,
        DataError,
        LeakageError,
        MissingExtraError,
        TrainingError,
        WorkspaceError,
    )

__all__ = [
    "Benchmark",
    "BenchmarkFile",
    "Best",
    "ClusterError",
    "ConfigError",
    "CtlrError",
    "DataError",
    "Estimated",
    "ImageClassifier",
    "ImageRegressor",
    "LeakageError",
    "MissingExtraError",
    "Preview",
    "Progress",
    "TrainingError",
    "Tuned",
    "WorkspaceError",
    "__version__",
    "blocks",
    "load",
    "open",
    "serving",
    "space",
    "tune",
]

__version__ = "0.1.0"

_MODULES = ("blocks", "serving", "space")


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    home = "errors" if name.endswith("Error") else "api"
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
