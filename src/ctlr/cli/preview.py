"""What a run would do, printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctlr.api import Preview
from ctlr.cli.show import show, show_rows

__all__ = ["show_preview"]


def show_preview(preview: Preview, workspace: Path, output: str, *, detect: tuple[float, Path] | None = None) -> None:
    """Print studies, shared steps, what is left of them and its estimated time to stdout.

    Args:
        preview: Of a run.
        workspace: Where earlier studies may lie, for `detect`.
        output: table, json or yaml.
        detect: A gain to be seen, and the benchmark's file: what it needs is printed too.

    Raises:
        ConfigError: There is nothing to gain over.
    """
    config = preview.config
    foreseen: dict[str, Any] = {}
    if detect is not None:
        from ctlr.cli.detection import detected, say_detected  # brings scipy and scikit-learn, which are slow to load

        foreseen = {"detect": detected(config, preview.plan, workspace, dict(preview.subjects), *detect)}
    if output != "table":
        steps = [row.model_dump(mode="json") for row in preview.steps]
        ids = [study.id for study in preview.plan.studies]
        show(preview.summary | foreseen | {"costs": steps, "study_ids": ids}, output)
        return
    show_rows(f"{config.name}: what `ctlr run` does", preview.rows)
    methods = [
        {"method": label, "views": method.views_words(preview.ndim), "refit": "yes" if method.refits else "no"}
        for label, method in config.methods.items()
    ]
    show_rows("Random views through which stages see images, and whether methods are refitted", methods)
    if preview.options:
        rows = [
            {"of": place, "options": ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                                               for name, value in options.items())}
            for place, options in preview.options.items()
        ]  # fmt: skip
        show_rows("Options that are not the defaults", rows)
    if preview.targets:
        show_rows("Targets", preview.data_rows)
    show("\n".join([*preview.data_words, preview.words]), "table")
    if foreseen:
        say_detected(foreseen["detect"])
