"""A synthetic BIDS cohort grown from the MNI152 template: T1-weighted images, age, sex and site.

Every subject depends on (seed, index) and the knobs alone: subject 7 of fifty is subject 7 of five hundred, bit for
bit, whoever computes it and beside whom.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from isal import igzip
from nibabel import orientations
from numpy.typing import NDArray

from ctlr import __version__
from ctlr.data.kinds.cohort.folder import write_members
from ctlr.data.kinds.cohort.synthesis import Nuisance, Renderer, Site, Traits
from ctlr.data.kinds.cohort.template import notice
from ctlr.specs import CohortSpec
from ctlr.workspace import disk_faults_named, write_aside

__all__ = ["ORIENTATIONS", "SITES", "Cohort", "Subject", "draw_subject", "sex_loadings", "write_cohort"]

ORIENTATIONS = ("RAS", "LAS", "PSR", "RPI", "LPS")
"""How the volumes are stored, by index in turn."""

SITES = (
    Site(name="north", noise=1.0, grey=0.0),
    Site(name="south", noise=0.8, grey=0.01),
    Site(name="west", noise=1.25, grey=-0.01),
)
"""Where a subject is scanned; drawn without regard to age and sex."""

# What one standard deviation of age does to the traits, and what half the difference from women to men does.
_AGE = Traits(ventricles=0.70, thinning=0.65, frontal_thinning=0.45, temporal_atrophy=0.55, contrast_loss=0.50,
              lesions=0.60, head_size=0.0, sylvian_fissures=0.55, basal_ganglia=0.40)  # fmt: skip
_SEX = Traits(ventricles=0.45, thinning=-0.35, frontal_thinning=0.45, temporal_atrophy=0.45, contrast_loss=-0.35,
              lesions=0.0, head_size=0.80, sylvian_fissures=0.35, basal_ganglia=-0.45)  # fmt: skip
_SHAPE = np.array([name != "head_size" for name in Traits._fields])
_SEX_LENGTH = 1.1  # of the sex difference without head size; age's is 1.6

_COLUMNS = {
    "age": {"Description": "Age", "Units": "years"},
    "sex": {"Description": "Sex", "Levels": {"F": "female", "M": "male"}},
    "site": {"Description": "Scanner", "Levels": {site.name: f"scanner {site.name}" for site in SITES}},
}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One member of a cohort."""

    index: int
    age: float
    """Years, 20.0-80.0."""
    sex: str
    """F or M."""
    site: Site
    traits: Traits

    @property
    def id(self) -> str:
        """`sub-` and the index from 1, at least four digits."""
        return f"sub-{self.index + 1:04d}"


def sex_loadings(overlap: float, head_gain: float) -> NDArray[np.float64]:
    """Half the difference from women to men in each trait, (9,).

    Head size apart, the direction keeps what `_SEX` has beside age's direction, and its cosine with that is `overlap`.
    """
    age, sex = np.array(_AGE)[_SHAPE], np.array(_SEX)[_SHAPE]
    age /= np.linalg.norm(age)
    beside = sex - (sex @ age) * age
    beside /= np.linalg.norm(beside)
    loadings = np.full(len(Traits._fields), head_gain * _SEX.head_size)
    loadings[_SHAPE] = _SEX_LENGTH * (overlap * age + np.sqrt(1 - overlap**2) * beside)
    return loadings


def draw_subject(spec: CohortSpec, index: int) -> Subject:
    """Draw who subject `index` is."""
    rng = _generator(spec, index, stream=0)
    age = round(rng.uniform(20, 80), 1)
    male = bool(rng.random() < 0.5)
    site = SITES[rng.integers(len(SITES))]
    standard = (age - 50) / np.sqrt(300)  # variance of 20-80 years, uniform
    ageing = standard + 0.18 * (standard**2 - 1)  # the old change faster
    own, shared = rng.standard_normal(len(Traits._fields)), rng.standard_normal()
    individual = 0.6 * np.sqrt(1 - np.square(_AGE)) * (0.9 * own + 0.43 * shared)
    traits = np.array(_AGE) * ageing + sex_loadings(spec.overlap, spec.head_gain) * (1 if male else -1) + individual
    traits[_SHAPE] *= spec.effect
    return Subject(index=index, age=age, sex="M" if male else "F", site=site, traits=Traits(*traits.tolist()))


def _generator(spec: CohortSpec, index: int, stream: int) -> np.random.Generator:
    """Random numbers of one subject: stream 0 says who it is, stream 1 how the image came out."""
    return np.random.default_rng(np.random.SeedSequence(spec.seed, spawn_key=(index, stream)))


class Cohort:
    """The subjects of a cohort, their images made on demand.

    Attributes:
        subjects: In order of their index.
        affine: (4, 4) from voxel to mm (RAS) of the volumes.
    """

    def __init__(self, spec: CohortSpec) -> None:
        self.spec = spec
        self.subjects = tuple(draw_subject(spec, index) for index in range(spec.subjects))
        self._renderer = Renderer(spec.spacing)
        self.affine = self._renderer.affine

    @property
    def ages(self) -> NDArray[np.float64]:
        """(N,) years."""
        return np.array([subject.age for subject in self.subjects])

    @property
    def sexes(self) -> NDArray[np.str_]:
        """(N,) of F and M."""
        return np.array([subject.sex for subject in self.subjects])

    def volume(self, index: int) -> NDArray[np.float32]:
        """Image of one subject: (I, J, K), RAS, at least 0."""
        subject, spec = self.subjects[index], self.spec
        rng = _generator(spec, subject.index, stream=1)
        nuisance = Nuisance.draw(rng, spec.nuisance)
        site = subject.site
        return self._renderer.render(
            subject.traits, nuisance, noise=spec.noise * site.noise, grey=spec.nuisance * site.grey, rng=rng
        )

    def volumes(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Images of these subjects: (B, I, J, K), RAS, at least 0."""
        return np.stack([self.volume(index) for index in indices])


def write_cohort(
    spec: CohortSpec, out: Path, *, workers: int = 1, progress: Callable[[int, int], None] | None = None
) -> None:
    """Write a cohort as a raw BIDS dataset.

    `participants.tsv` and then `dataset_description.json` are written last: a folder without them was interrupted.
    The same spec gives the same bytes, whatever the number of workers.

    Args:
        spec: The cohort.
        out: Folder that does not exist or is empty.
        workers: Threads.
        progress: Told (done, total) after each subject.

    Raises:
        DataError: `out` is there and not an empty folder.
        WorkspaceError: The disk is full or `out` cannot be written.
    """
    with disk_faults_named(out):
        cohort = Cohort(spec)
        write_members(
            out, spec.subjects, lambda index: _write_image(cohort, index, out), workers=workers, progress=progress
        )
        _write_tables(cohort, out)


def _write_image(cohort: Cohort, index: int, out: Path) -> None:
    subject = cohort.subjects[index]
    folder = out / subject.id / "anat"
    folder.mkdir(parents=True)
    orientation = ORIENTATIONS[index % len(ORIENTATIONS)]
    nifti = _nifti(cohort.volume(index), cohort.affine, orientation)
    # No file name and no time are stored: the bytes tell nothing but the image.
    (folder / f"{subject.id}_T1w.nii.gz").write_bytes(igzip.compress(nifti, 2, mtime=0))


def _nifti(volume: NDArray[np.float32], affine: NDArray[np.float64], orientation: str) -> bytes:
    """NIfTI-1 file of a RAS volume, int16 with 1000 for intensity 1, stored in an orientation."""
    counts = np.clip(np.rint(1000 * volume), 0, np.iinfo(np.int16).max).astype(np.int16)
    turn = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), orientations.axcodes2ornt(orientation))
    affine = affine @ orientations.inv_ornt_aff(turn, counts.shape)
    image = nib.Nifti1Image(orientations.apply_orientation(counts, turn), affine)
    image.set_sform(affine, code="scanner")
    image.set_qform(affine, code="scanner")
    image.header.set_xyzt_units("mm")
    return bytes(image.to_bytes())


def _write_tables(cohort: Cohort, out: Path) -> None:
    knobs = cohort.spec.model_dump_json(include=set(CohortSpec.model_fields) - {"name", "kind", "preprocess"})
    rows = ["participant_id\tage\tsex\tsite"]
    rows += [f"{each.id}\t{each.age:.1f}\t{each.sex}\t{each.site.name}" for each in cohort.subjects]
    readme = f"Synthetic T1-weighted images; nobody was scanned. Knobs: {knobs}\n\n{notice()}"
    description = {
        "Name": "Synthetic T1-weighted cohort derived from MNI152", "BIDSVersion": "1.10.0", "DatasetType": "raw",
        "GeneratedBy": [{"Name": "ctlr", "Version": __version__}],
    }  # fmt: skip
    write_aside(out / "README", readme.encode())
    write_aside(out / "participants.json", json.dumps(_COLUMNS, indent=2).encode())
    write_aside(out / "participants.tsv", ("\n".join(rows) + "\n").encode())
    write_aside(out / "dataset_description.json", json.dumps(description, indent=2).encode())
