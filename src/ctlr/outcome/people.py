"""Who the pseudonyms of a workspace are, for comparisons inside this process: none of it is ever written."""

from __future__ import annotations

import contextlib

from ctlr.data.store import read_table
from ctlr.errors import WorkspaceError
from ctlr.report.finished import Finished
from ctlr.workspace import Workspace

__all__ = ["people_of"]


def people_of(finished: Finished) -> dict[str, str]:
    """Pseudonym -> subject id, as far as the tables of stored images are there."""
    workspace, found = Workspace(finished.root), dict[str, str]()
    for stored in finished.arrays.values():
        with contextlib.suppress(WorkspaceError):
            subjects = sorted(set(read_table(stored, workspace).subject.values))
            found |= dict(zip(workspace.pseudonyms(subjects), subjects, strict=True))
    return found
