"""Fifty shapes of names in every place where names can stand, and what of them leaves."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from clinic import AFFINE
from names import MARKS, NAMES
from PIL import Image, PngImagePlugin
from terminal import call

from ctlr.cluster.request import request_of
from ctlr.cluster.workers import preprocess_datasets
from ctlr.config import load
from ctlr.errors import DataError

PRIVATE = (
    "arrays", "cohorts", "sources", "copies", "logs", "submissions", "key", "lock", "last.json", "leaks.tsv", "ran",
)  # fmt: skip
"""What of a workspace stays on its machine, as docs/running.md says."""

FILE = """\
name: names
datasets:
  pictures: {kind: images, root: "Oakenshaw pictures", preprocess: {shape: [16, 16], on_bad_subject: exclude}}
  brains:
    {kind: bids, root: "Oakenshaw brains", preprocess: {spacing: 12, shape: [16, 16, 16], on_bad_subject: exclude}}
tasks:
  class: {target: class, kind: classification}
  age: {target: age, kind: regression}
transfers:
  - {target: {data: pictures, task: class}}
  - {target: {data: brains, task: age}}
encoders: {small_cnn: {}}
methods: {scratch: {}}
sample_sizes: [4]
seeds: [0]
split: {test: 8}
training: {finetune: {epochs: 1, batch_size: 8}}
tracking: {backend: mlflow}
report: {bootstrap: 100, paths: names}
"""


def write_pictures(root: Path) -> None:
    """A picture of each name, which its text chunk repeats, and beside it a file that holds the name alone."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        folder = root / ("benign", "malignant")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        chunk = PngImagePlugin.PngInfo()
        chunk.add_text("Patient", name)
        pixels = rng.integers(0, 255, (16, 16), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png", pnginfo=chunk)
        (folder / f"{name} {number}.{('png', 'webp', 'jpg', 'tiff', 'bmp')[number % 5]}").write_text(name)
    (root / "benign" / "Oakenshaw.out.png").symlink_to(root.parent / "Zephyrine.png")


def write_brains(root: Path) -> None:
    """A subject of each name: usable, empty, without an image, without a line, named wrongly, twice, or linked out."""
    rng = np.random.default_rng(1)
    lines = ["participant_id\tage\tpatient\tphysician"]
    for number, name in enumerate([*NAMES, *(f"{name} B" for name in NAMES)]):
        subject = f"sub-{name}"
        anat = root / subject / "anat"
        image = nib.Nifti1Image(rng.random((14, 15, 16)).astype(np.float32), AFFINE)
        image.header["descrip"] = b"Zephyrine Oakenshaw"
        fault = number % 14 if number >= len(NAMES) else 13
        if fault != 0:
            anat.mkdir(parents=True)
            nib.save(image, anat / f"{subject}_T1w.nii.gz")
            (anat / f"{subject}_T1w.json").write_text(json.dumps({"PatientName": name}))
        if fault == 1:
            (anat / f"{subject}_T1w.nii.gz").write_bytes(b"")
        elif fault == 2:
            (anat / f"{subject}_T1w.nii.gz").rename(anat / "sub-Oakenshaw0_T1w.nii.gz")
        elif fault == 3:
            shutil.copy(anat / f"{subject}_T1w.nii.gz", anat / f"{subject}_desc-x_T1w.nii.gz")
            (anat / f"{subject}_T1w.nii.gz").rename(anat / f"{subject}_desc-y_T1w.nii.gz")
        elif fault == 4:
            (anat / f"{subject}_T1w.nii.gz").unlink()
            (anat / f"{subject}_T1w.nii.gz").symlink_to(root.parent / "Zephyrine.nii.gz")
        elif fault == 5:
            (anat / f"{subject}_desc-brain_mask.nii.gz").write_bytes(b"Oakenshaw")
        elif fault == 6:
            nib.save(nib.Nifti1Image(np.zeros((14, 15, 16)), AFFINE), anat / f"{subject}_desc-brain_mask.nii.gz")
        if fault != 7:
            cell = f'"{name}"' if '"' not in name else name
            lines.append(f'"{name}"\t{20 + number / 2}\t{cell}\tDr Oakenshaw')
    (root / "participants.tsv").write_text("\n".join(lines) + "\n")
    (root / "participants.json").write_text(json.dumps({"patient": {"Description": "Oakenshaw"}}))
    (root / "dataset_description.json").write_text(json.dumps({"Name": "Oakenshaw", "Authors": ["Zephyrine"]}))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the benchmark was run."""
    folder = tmp_path_factory.mktemp("names")
    write_pictures(folder / "Oakenshaw pictures")
    write_brains(folder / "Oakenshaw brains")
    (folder / "names.yaml").write_text(FILE)
    done = call("run", "names.yaml", "--workers", "1", folder=folder)
    assert done.code == 0, done.err
    return folder


def named(folder: Path) -> Iterator[tuple[str, str]]:
    """(file, mark) of every file whose path or content gives a name away."""
    for path in folder.rglob("*"):
        text = str(path.relative_to(folder)) + (path.read_bytes().decode("utf-8", "replace") if path.is_file() else "")
        yield from ((str(path), mark) for mark in MARKS if mark in text.lower())


def test_no_name_stands_in_a_file_that_may_leave_the_workspace(finished: Path) -> None:
    workspace = finished / "workspace"
    public = [path for path in workspace.iterdir() if path.name not in PRIVATE and not path.name.startswith(".")]
    assert {"reports", "studies", "finetuned", "mlflow.db", "mlartifacts"} <= {path.name for path in public}
    for path in public:
        assert (
            not list(named(path))
            if path.is_dir()
            else not any(mark.encode() in path.read_bytes().lower() for mark in MARKS)
        ), path.name
    for mark in MARKS[:2]:  # and they do stand where they are said to
        assert any(mark in found for _, found in named(workspace / "arrays"))


def test_what_was_left_out_is_counted_by_whole_reasons(finished: Path) -> None:
    table = (finished / "workspace" / "reports" / "names" / "tables" / "excluded.csv").read_text()
    for reason in (
        "pictures: a picture (PNG, JPEG, BMP, TIFF, WEBP) is needed; this is none. Convert the file.",
        "brains: the file is empty (0 bytes). Copy, fetch or export it again.",
        "brains: a line of participants.tsv needs an image sub-*/[ses-*/]anat/*_T1w.nii[.gz]",
        "brains: an image needs a line in participants.tsv",
        "brains: its mask: a NIfTI file (.nii or .nii.gz",
        "brains: the mask must mark the brain",
        "brains: one version of a scan is needed; these are several",
        "brains: a link must not point out of the dataset's folder",
    ):
        assert reason in table
    assert table.count("\n") < 15


def test_no_name_stands_in_the_artefact_of_a_cluster_s_task(finished: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "data").mkdir(parents=True)
    for name in ("pictures", "brains"):
        shutil.copytree(finished / f"Oakenshaw {name}", volume / "data" / name, symlinks=True)
    (tmp_path / "names.yaml").write_text(
        FILE.replace("Oakenshaw ", "data/")
        .replace(", on_bad_subject: exclude", "")
        .replace("backend: mlflow", "backend: none")
    )  # fmt: skip
    roots = [f"platform.roots.{name}=data/{name}" for name in ("pictures", "brains")]
    request = request_of(load(tmp_path / "names.yaml", roots)).parameters()
    with pytest.raises(DataError) as refused:
        preprocess_datasets(str(volume), request["submission"], "0b1f", request["sent"])
    assert refused.value.reason.count("subjects or images cannot be used:\n  ") == 2  # of both datasets
    assert not any(mark in refused.value.reason.lower() for mark in MARKS)
