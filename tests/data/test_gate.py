"""The gate on files: a dataset of brains, and a second one made from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import from_matvec
from numpy.typing import NDArray
from scipy import ndimage
from tiny_bench import Bench

from ctlr.config import load
from ctlr.data.gate import Gate
from ctlr.data.kinds.cohort import cohort_of
from ctlr.data.preprocess import preprocess
from ctlr.errors import LeakageError
from ctlr.plan import make_plan
from ctlr.workspace import Workspace

PEOPLE = 24

FILE = """\
name: gate
datasets:
  here: {kind: bids, root: here, preprocess: {spacing: 6, shape: [32, 32, 32]}}
  there: {kind: bids, root: there, preprocess: {spacing: 6, shape: [32, 32, 32]}}
tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}
transfers:
  - {source: {data: there, task: sex}, target: {data: here, task: age}}
encoders: {small_cnn: {}}
methods: {scratch: {}, supervised: {}}
sample_sizes: [4]
seeds: [0, 1]
split: {test: 12}
"""

Voxels = NDArray[Any]
Image = tuple[Voxels, NDArray[np.float64]]
"""Voxels and affine."""


class Place(NamedTuple):
    """A folder with the file and the dataset `here`; `there` is written by the test."""

    folder: Path
    workspace: Workspace

    def check(self, **settings: str) -> None:
        """Run the gate."""
        plan = make_plan(load(self.folder / "gate.yaml", [f"{key}={value}" for key, value in settings.items()]))
        arrays = {data.name: preprocess(data, self.workspace) for data in plan.datasets}
        Gate(plan, arrays, self.workspace).check()

    def leaks(self) -> list[dict[str, str]]:
        """What the last refusal left for the user's own eyes."""
        header, *lines = (self.workspace.root / "leaks.tsv").read_text().splitlines()
        return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def rows_of(table: Path) -> list[list[str]]:
    return [line.split("\t") for line in table.read_text().splitlines()[1:]]


def write(root: Path, people: dict[str, tuple[Image, str]], columns: str = "age\tsex") -> None:
    """A BIDS folder of images and cells by subject id."""
    lines = [f"participant_id\t{columns}"]
    for subject, ((voxels, affine), cells) in people.items():
        path = root / subject / "anat" / f"{subject}_T1w.nii.gz"
        path.parent.mkdir(parents=True)
        nib.save(nib.Nifti1Image(voxels, affine), path)
        lines.append(f"{subject}\t{cells}")
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def brains(bench: Bench) -> dict[str, tuple[Image, str]]:
    """Two dozen synthetic people under ids of their own: images and cells."""
    cohort = bench.workspace.folder("cohorts", cohort_of(bench.plan.datasets[0]).identity())
    found = {}
    for name, age, sex, _ in rows_of(cohort / "participants.tsv")[: 2 * PEOPLE]:
        image = nib.as_closest_canonical(nib.load(cohort / name / "anat" / f"{name}_T1w.nii.gz"))
        found[name] = ((np.asarray(image.dataobj), image.affine), f"{age}\t{sex}")
    return found


@pytest.fixture
def place(brains: dict[str, tuple[Image, str]], tmp_path: Path) -> Place:
    first = dict(list(brains.items())[:PEOPLE])
    write(tmp_path / "here", first)
    (tmp_path / "gate.yaml").write_text(FILE)
    return Place(tmp_path, Workspace(tmp_path / "workspace"))


@pytest.fixture
def others(brains: dict[str, tuple[Image, str]]) -> dict[str, tuple[Image, str]]:
    """Two dozen other people under the same ids, as every study counts from one."""
    names = list(brains)
    return dict(zip(names, [brains[name] for name in names[PEOPLE:]], strict=False))


def one_voxel(image: Image) -> Image:
    voxels = image[0].copy()
    voxels[16, 16, 16] += 50
    return voxels, image[1]


def padded(image: Image) -> Image:
    """Air about it on all sides, and intensities doubled."""
    return np.pad(2 * image[0], 3), from_matvec(image[1][:3, :3], image[1][:3, 3] - 3 * image[1][:3, :3].sum(axis=1))


def resampled(image: Image) -> Image:
    zoomed = ndimage.zoom(image[0].astype(np.float32), 1 / 1.25, order=1)
    scale = np.diag(np.array(image[0].shape) / zoomed.shape)
    return zoomed, from_matvec(image[1][:3, :3] @ scale, image[1][:3, 3])


def noisy(image: Image) -> Image:
    voxels = image[0] + np.random.default_rng(0).normal(0, 0.005 * np.ptp(image[0]), image[0].shape)
    return voxels.astype(np.float32), image[1]


COPIES: dict[str, Callable[[Image], Image]] = {
    "one voxel": one_voxel,
    "padded and scaled": padded,
    "requantised": lambda image: (np.rint(image[0] / image[0].max() * 255).astype(np.uint8), image[1]),
    "noise": noisy,
    "resampled": resampled,
    "mirrored": lambda image: (image[0][::-1].copy(), image[1]),
    "moved by 5 mm": lambda image: (
        ndimage.shift(image[0].astype(np.float32), (5 / 6, 0, 0), order=1, mode="nearest"), image[1]
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", COPIES)
def test_a_copy_under_another_id_in_the_source_stops_the_run(
    change: str, place: Place, brains: dict[str, tuple[Image, str]]
) -> None:
    names = list(brains)[:PEOPLE]
    copies = {f"sub-{name[-4:]}copy": (COPIES[change](brains[name][0]), brains[name][1]) for name in names}
    write(place.folder / "there", copies)
    with pytest.raises(LeakageError, match=r"here \w{12} \((test|validation)\) and there \w{12} \(training"):
        place.check()
    named = place.leaks()
    assert all(leak["other_subject"] == f"{leak['subject']}copy" for leak in named)
    assert sum(leak["side"] == "test" for leak in named) == 12
    if change == "padded and scaled":
        assert {leak["share"] for leak in named} == {"images that are stored alike, bit for bit"}


def test_a_copy_inside_one_dataset_stops_the_run(place: Place, brains: dict[str, tuple[Image, str]]) -> None:
    twice = {f"{name}b": (noisy(image), cells) for name, (image, cells) in list(brains.items())[:PEOPLE]}
    shutil.rmtree(place.folder / "here")
    write(place.folder / "here", dict(list(brains.items())[:PEOPLE]) | twice)
    write(place.folder / "there", dict(list(brains.items())[PEOPLE:]))
    with pytest.raises(LeakageError, match="copies of one image, correlation 0.99"):
        place.check()
    assert {leak["other_subject"].removesuffix("b") == leak["subject"].removesuffix("b") for leak in place.leaks()} == {
        True
    }


def test_other_people_under_the_same_ids_pass_and_what_was_searched_is_kept(
    place: Place, others: dict[str, tuple[Image, str]]
) -> None:
    write(place.folder / "there", others)
    place.check()
    (kept,) = (place.workspace.root / "copies").iterdir()
    before = kept.stat().st_mtime_ns
    place.check()
    assert kept.stat().st_mtime_ns == before
    assert not (place.workspace.root / "leaks.tsv").exists()


def test_a_derivative_beside_its_raw_dataset_stops_by_the_ids_whatever_was_done_to_the_images(
    place: Place, brains: dict[str, tuple[Image, str]], others: dict[str, tuple[Image, str]]
) -> None:
    cells = {name: people[1] for name, people in brains.items()}
    write(place.folder / "there", {name: (image, cells[name]) for name, (image, _) in others.items()})
    with pytest.raises(LeakageError, match=r"here (\w{12}) \(test\) and there \1 \(training .*: one subject"):
        place.check()
    place.check(**{"leaks.accept": "[[there, here]]"})


def test_an_accepted_pair_passes_again_and_again(place: Place, brains: dict[str, tuple[Image, str]]) -> None:
    names = list(brains)
    there = {f"{name}x": brains[name] for name in names[PEOPLE:]}
    write(place.folder / "there", there | {f"{name}x": brains[name] for name in names[:PEOPLE]})
    with pytest.raises(LeakageError):
        place.check()
    pairs = [f'["{leak["pseudonym"]}", "{leak["other_subject"]}"]' for leak in place.leaks()]  # some look like numbers
    for _ in range(2):
        place.check(**{"leaks.accept": f"[{', '.join(pairs)}]"})
    with pytest.raises(LeakageError, match="1 pairs"):
        place.check(**{"leaks.accept": f"[{', '.join(pairs[1:])}]"})


def test_siblings_in_the_source_stop_the_run_where_their_column_is_named(
    place: Place, brains: dict[str, tuple[Image, str]]
) -> None:
    shutil.rmtree(place.folder / "here")
    everyone = [
        (who, (image, f"{cells}\tf{number % PEOPLE}")) for number, (who, (image, cells)) in enumerate(brains.items())
    ]
    write(place.folder / "here", dict(everyone[:PEOPLE]), "age\tsex\tfamily")
    write(place.folder / "there", dict(everyone[PEOPLE:]), "age\tsex\tfamily")
    place.check()
    with pytest.raises(LeakageError, match=r"here \w{12} \(test\) and there \w{12} .*: one value of column 'family'"):
        place.check(**{"split.group": "family"})


def test_a_source_that_repeats_the_target_is_refused(place: Place, brains: dict[str, tuple[Image, str]]) -> None:
    shutil.rmtree(place.folder / "here")
    (place.folder / "there").mkdir()
    people = {
        name: (image, f"{cells}\t{12 * float(cells.split()[0]):.0f}")
        for name, (image, cells) in list(brains.items())[:PEOPLE]
    }
    write(place.folder / "here", people, "age\tsex\tmonths")
    months = {"transfers.0.source.data": "here", "tasks.sex": "{target: months, kind: regression}"}
    with pytest.raises(
        LeakageError, match=r"Column 'months' of dataset 'here' repeats the target 'age' \(\|r\| 1.0000"
    ):
        place.check(**months)
