"""Identities of stored arrays: the content of the files, the cells of the tables and the options."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ctlr.data.listing import Listing
from ctlr.data.sources import remembered_digests
from ctlr.specs import AnyDataset, CohortSpec, CollectionSpec, PreprocessSpec, fingerprint
from ctlr.workspace import Workspace

__all__ = ["RULES", "cohort_identity", "cohort_of", "collection_identity", "files_of_listing", "listing_identity",
           "remembered_identity"]  # fmt: skip

RULES = "2"
"""Version of what preprocessing does to an image and says of it; another one gives other identities."""


def cohort_of(dataset: CohortSpec) -> CohortSpec:
    """The cohort that is grown, whatever it is called and becomes of it."""
    return dataset.model_copy(update={"name": "", "preprocess": PreprocessSpec()})


def cohort_identity(dataset: CohortSpec) -> str:
    """A cohort is its spec: nothing has to be there."""
    return fingerprint(RULES, cohort_of(dataset).identity(), dataset.preprocess.identity())


def files_of_listing(listing: Listing) -> list[str]:
    """Images and masks."""
    return [file for image in listing.images for file in (image.file, image.mask) if file]


def listing_identity(dataset: AnyDataset, listing: Listing, digests: Mapping[str, str]) -> str:
    """Of a folder whose files have those digests."""
    images = [
        [image.subject, image.session, image.file, digests[image.file], digests.get(image.mask or "", ""),
         sorted(image.columns.items())]
        for image in listing.images
    ]  # fmt: skip
    options = dataset.model_dump_json(exclude={"name", "root"})
    return fingerprint(
        RULES, options, json.dumps(images), json.dumps([[str(fault) for fault in listing.faults], listing.units])
    )


def collection_identity(dataset: CollectionSpec, digests: Mapping[str, str]) -> str:
    """Of a published set whose files have those digests."""
    options = dataset.model_dump_json(exclude={"name", "root"})
    return fingerprint(RULES, options, json.dumps(sorted(digests.items())))


def remembered_identity(dataset: AnyDataset, listing: Listing | None, workspace: Workspace) -> str | None:
    """Identity of a dataset whose files an earlier run has read; None where a file would have to be read now.

    Args:
        dataset: Which one.
        listing: Of a folder.
        workspace: That remembers digests.
    """
    if isinstance(dataset, CohortSpec):
        return cohort_identity(dataset)
    if isinstance(dataset, CollectionSpec):
        from ctlr.data.collection import files_of  # numpy is slow to load

        root, files = files_of(dataset)
        digests = remembered_digests(root, files, workspace) if files else {}
        return None if digests is None else collection_identity(dataset, digests)
    assert listing is not None
    digests = remembered_digests(listing.root, files_of_listing(listing), workspace)
    return None if digests is None else listing_identity(dataset, listing, digests)
