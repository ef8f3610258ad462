"""A BIDS folder as a clinic might hand it over, written with nibabel alone, and a benchmark on it."""

from pathlib import Path

import nibabel
import numpy as np

__all__ = ["AFFINE", "CLINIC", "PEOPLE", "participants", "subject_id", "volume_file", "write_clinic"]

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
    lines = ["participant_id\tage\tsex\tsite"]
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
        lines.append(f"{subject}\t{age:.1f}\t{sex}\tnorth")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    return root
