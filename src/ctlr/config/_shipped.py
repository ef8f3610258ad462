"""Benchmark files that come with CTLR, written for a place of their user's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from ctlr.errors import ConfigError, nearest
from ctlr.specs import dns_name

__all__ = ["TEMPLATES", "shipped"]

TEMPLATES: Mapping[str, str] = {"demo": "demo", "tuned": "brain-age-tuned", "katib": "brain-age"}
"""Name of a template -> the benchmark that it is; `katib` brings every search of that benchmark."""
_MANIFEST = re.compile(r"(?:\.\./)?katib/([\w-]+\.yaml)")
_RECORDED = "tracking: {backend: mlflow}"
_NOT_RECORDED = "tracking: {backend: none} # mlflow: records every run (pip install 'ctlr[tracking]')"


def shipped(template: str, file: Path) -> dict[Path, str]:
    """The files of a template: the benchmark, and the searches that belong to it, in a folder `katib` beside it.

    Args:
        template: One of `TEMPLATES`.
        file: Where the benchmark shall lie.

    Raises:
        ConfigError: There is no such template, or this installation came without.
    """
    if template not in TEMPLATES:
        raise ConfigError(f"--template: there is no template {template!r}. {nearest(template, TEMPLATES)}")
    folder, name = files("ctlr.shipped"), TEMPLATES[template]
    benchmark = folder / "benchmarks" / f"{name}.yaml"
    if not benchmark.is_file():
        raise ConfigError(
            f"--template {template}: this installation came without its benchmark files. Install CTLR from its wheel "
            "or its repository."
        )
    text = benchmark.read_text(encoding="utf-8")
    searches = {each.name: each for each in (folder / "katib").iterdir() if each.name.endswith(".yaml")}
    if template == "katib":
        wanted = {
            each for each in searches if f"- benchmarks/{name}.yaml" in searches[each].read_text(encoding="utf-8")
        }
    else:
        wanted = set(_MANIFEST.findall(text)) & searches.keys()
    text = re.sub(r"^name: .*$", f"name: {dns_name(file.stem, 40)}", text, count=1, flags=re.MULTILINE)
    text = text.replace(f"ctlr run benchmarks/{name}.yaml", f"ctlr run {file.name}").replace("../katib/", "katib/")
    made = {file: text.replace(_RECORDED, _NOT_RECORDED)}
    for each in sorted(wanted):
        manifest = re.sub(r"benchmarks/[\w-]+\.yaml", file.name, searches[each].read_text(encoding="utf-8"))
        made[file.parent / "katib" / each] = manifest
    return made
