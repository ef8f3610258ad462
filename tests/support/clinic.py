"""A BIDS folder as a clinic might hand it over, written with nibabel alone, and a benchmark on it."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np

__all__ = [
    "AFFINE",
    "CLINIC",
    "NOISE",
    "PEOPLE",
    "WITH_A_HOLE",
    "crafted",
    "participants",
    "subject_id",
    "volume",
    "volume_file",
    "write_clinic",
]

NOISE = np.random.default_rng(1).random((8, 8, 8))
WITH_A_HOLE = np.where(NOISE[2, 3, 4] == NOISE, np.nan, NOISE)
PEOPLE = 30
AFFINE = np.diag([12.0, 12.0, 12.0, 1.0])

CLINIC = """\
name: clinic
datasets:
  clinic: {kind: bids, root: clinic, preprocess: {spacing: 12, shape: [16, 16, 16]}}
tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}
transfers:
  - {source: {data: clinic, task: sex}, target: {data: clinic, task: age}}
encoders: {small_cnn: {}}
methods: {scratch: {}, supervised: {}}
sample_sizes: [4, 6]
seeds: [0]
baselines: []
split: {test: 8}
training:
  pretrain: {epochs: 2}
  finetune: {epochs: 2, batch_size: 8}
report: {bootstrap: 100}
"""


def subject_id(number: int) -> str:
    """Ids that no pseudonym and no other text holds by chance."""
    return f"sub-XYZZY{number:02d}"


def volume_file(root: Path, subject: str) -> Path:
    """Where a subject's image lies."""
    return root / subject / "anat" / f"{subject}_T1w.nii.gz"


def participants(root: Path) -> list[list[str]]:
    """Rows of participants.tsv, the header first."""
    return [line.split("\t") for line in (root / "participants.tsv").read_text().splitlines()]


def write_clinic(root: Path, people: int = PEOPLE) -> Path:
    """Write `people` volumes of 14 x 15 x 16 voxels whose bright core shrinks with age, half of them women."""
    rng = np.random.default_rng(7)
    lines = ["participant_id\tage\tsex\tscan_date"]
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in (14, 15, 16)), indexing="ij"))
    for number in range(people):
        subject, age, sex = subject_id(number), 20 + 60 * rng.random(), "MF"[number % 2]
        core = np.linalg.norm(grid * np.array([1, 1 + 0.3 * number % 2, 1])[:, None, None, None], axis=0)
        voxels = 100 * (core < 0.95 - age / 160) + 40 * (core < 0.95) + rng.normal(0, 4, core.shape)
        image = nibabel.Nifti1Image(voxels.astype(np.float32), AFFINE)
        image.header["descrip"] = f"scanned by Dr {subject}".encode()
        path = volume_file(root, subject)
        path.parent.mkdir(parents=True)
        nibabel.save(image, path)
        lines.append(f"{subject}\t{age:.1f}\t{sex}\t2019-03-{1 + number % 28:02d}")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    return root


def volume(data: np.ndarray, affine: np.ndarray = AFFINE) -> bytes:
    """A NIfTI-1 file with any affine, also one that nibabel would not write."""
    return crafted(lambda header: header.set_sform(affine, 1), data)


def crafted(change: Callable[[nibabel.Nifti1Header], object], data: np.ndarray) -> bytes:
    """A NIfTI-1 file whose header says what `change` makes it say."""
    header = nibabel.Nifti1Header()
    header.set_data_shape(data.shape)
    header.set_data_dtype(np.float32)
    header.set_sform(AFFINE, 1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    change(header)
    return bytes(header.binaryblock + b"\0" * 4 + data.astype("<f4").tobytes(order="F"))
