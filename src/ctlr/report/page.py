"""The report: one self-contained HTML file, tables beside it, and a model card."""

from __future__ import annotations

from pathlib import Path

from ctlr.report.finished import Finished
from ctlr.workspace import disk_faults_named, write_aside

__all__ = ["build_report"]


def build_report(finished: Finished, out: Path) -> Path:
    """Write `report.html`, `report.json`, `results.csv`, `model-card.md`, `models.json`, `tables/*` into a folder.

    The page holds what each of `SECTIONS` has to say. With searches, every trial stands in `trials.csv`.

    Equal results of one command in equal environments give equal bytes: nothing of the day, of home folders or of users
    enters. The command is the one that began the run; to go on with it, or to run it again, changes nothing.

    Args:
        finished: The benchmark.
        out: Folder to write to; made when it does not exist.

    Returns:
        Path of `report.html`.

    Raises:
        DataError: Studies of one transfer were tested on different subjects, or a history is damaged.
        WorkspaceError: The folder cannot be written.
    """
    # scikit-learn and matplotlib are slow to load: whoever imports this module and builds no report does without.
    from ctlr.report.document.making import document
    from ctlr.report.document.values import FILE
    from ctlr.report.findings import findings
    from ctlr.report.sections import SECTIONS
    from ctlr.report.theme.formats import to_csv, to_latex, to_markdown
    from ctlr.report.theme.templating import render

    found = findings(finished)
    sections = [section for say in SECTIONS for section in say(found)]
    files = {
        f"tables/{table.name}.{suffix}": write(table)
        for section in sections
        for table in section.tables
        for suffix, write in (("csv", to_csv), ("md", to_markdown), ("tex", to_latex))
    }
    for section in sections:
        files |= section.files
    config = finished.config
    files[FILE] = document(found).model_dump_json(by_alias=True, indent=1)
    files["report.html"] = render(
        "theme/page.html.j2", title=config.name, description=config.description, keys=found.styles, sections=sections
    )
    with disk_faults_named(out):
        (out / "tables").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_aside(out / name, text.encode())
    return out / "report.html"
