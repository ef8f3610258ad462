"""Identities of stored arrays: the content of the files, the cells of the tables and the options."""

from __future__ import annotations

from collections.abc import Mapping

from ctlr.data.listing import Listing
from ctlr.data.reader import Reader, reader_of
from ctlr.data.sources import remembered_digests
from ctlr.specs import DatasetSpec, StoredArrays, fingerprint
from ctlr.workspace import Workspace

__all__ = ["RULES", "identity_of", "read_stored", "remembered_identity"]

RULES = "2"
"""Version of what preprocessing does to an image and says of it; another one gives other identities."""


def identity_of(reader: Reader, digests: Mapping[str, str]) -> str:
    """Identity of a dataset whose files have those digests."""
    return fingerprint(RULES, *reader.content(digests))


def remembered_identity(dataset: DatasetSpec, listing: Listing | None, workspace: Workspace) -> str | None:
    """Identity of a dataset whose files an earlier run has read; None where a file would have to be read now.

    Args:
        dataset: Which one.
        listing: Of it, where there is one.
        workspace: That remembers digests.
    """
    reader = reader_of(dataset, listing)
    root, files = reader.files()
    digests = remembered_digests(root, files, workspace) if files else {}
    return None if digests is None else identity_of(reader, digests)


def read_stored(identity: str, workspace: Workspace) -> StoredArrays:
    """What is stored of a dataset.

    Raises:
        WorkspaceError: Its record cannot be read, or is that of another dataset; names the folder to remove.
    """

    def own(text: bytes) -> StoredArrays:
        stored = StoredArrays.model_validate_json(text)
        if (stored.fingerprint, stored.path) != (identity, f"arrays/{identity}"):
            raise ValueError("the record of other arrays")
        return stored

    return workspace.read("arrays", identity, "stored.json", own)
