"""The model card and its numbers, beside the page."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ctlr.report.findings import Findings
from ctlr.report.model_card import card
from ctlr.report.section import Section

__all__ = ["model_card"]


def model_card(found: Findings) -> Iterator[Section]:
    """Files alone."""
    finished = found.finished
    text = card.model_card(found.views, title=finished.config.name, root=finished.root)
    records = json.dumps(card.model_records(found.views), indent=1)
    yield Section(files={"model-card.md": text, "models.json": records})
