"""Published sets of pictures: what they hold, and where their files come from."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DIGITS", "PUBLISHED", "PublishedSet"]


@dataclass(frozen=True, kw_only=True)
class PublishedSet:
    """A set that is fetched by hand, in the files that torchvision keeps below its `root` too."""

    classes: Mapping[str, int]
    """Pictures by class, training and test part together."""
    files: tuple[str, ...]
    """Below the root; those of EMNIST may end in .gz."""
    archive: str = ""
    """Holds all files, and may lie there in their place."""
    address: str
    md5: str
    """Of what lies at the address."""
    remedy: str
    """How to get from the address to the files; {root} stands for the folder."""


_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_BOTH_CASES = "CIJKLMOPSUVWXYZ"
"""Letters whose two cases EMNIST's balanced set counts as one class (Cohen et al. 2017, table II)."""
_EMNIST = (
    *string.digits,
    *(letter + letter.lower() if letter in _BOTH_CASES else letter for letter in string.ascii_uppercase),
    *"abdefghnqrt",
)

PUBLISHED: Mapping[str, PublishedSet] = {
    "cifar10": PublishedSet(
        classes=dict.fromkeys(_CIFAR10, 6000),
        files=(*(f"cifar-10-batches-py/data_batch_{n}" for n in range(1, 6)), "cifar-10-batches-py/test_batch"),
        address="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        remedy="unpack it: tar -xzf cifar-10-python.tar.gz -C {root}",
    ),
    "emnist-balanced": PublishedSet(
        classes=dict.fromkeys(_EMNIST, 2800),
        files=tuple(
            f"EMNIST/raw/emnist-balanced-{part}-{what}-ubyte"
            for part in ("train", "test")
            for what in ("images-idx3", "labels-idx1")
        ),
        archive="EMNIST/raw/gzip.zip",
        address="https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        md5="58c8d27c78d21e728a6bc7b3cc06412e",
        remedy="put it, as it is, into {root}/EMNIST/raw",
    ),
}
"""By name: CIFAR-10 (Krizhevsky 2009) and EMNIST balanced (Cohen et al. 2017), classes in the order of their codes."""

DIGITS: Mapping[str, int] = dict(zip(string.digits, (178, 182, 177, 183, 181, 182, 181, 179, 174, 180), strict=True))
"""Pictures by class of scikit-learn's digits (Alpaydin & Kaynak 1998)."""
