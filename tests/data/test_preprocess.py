from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from ctlr.data.preprocess import preprocess
from ctlr.data.store import ArrayStore
from ctlr.errors import ConfigError, DataError, WorkspaceError
from ctlr.specs import BidsSpec, CohortSpec, ImagesSpec, PreprocessSpec
from ctlr.workspace import Workspace

Write = Callable[..., Path]

SMALL = PreprocessSpec(shape=(16, 16, 16), spacing=3.0)
EXCLUDE = SMALL.model_copy(update={"on_bad_subject": "exclude"})
TABLE = "participant_id\tage\n01\t20\n02\t30,5\n03\tn/a\n"
FILES = [f"sub-0{i}/anat/sub-0{i}_T1w.nii.gz" for i in (1, 2, 3)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w")


def _spec(root: Path, options: PreprocessSpec = SMALL, **more: object) -> BidsSpec:
    return BidsSpec(root=str(root), preprocess=options, **more)


def test_a_folder_becomes_one_array_and_a_table(bids: Write, workspace: Workspace) -> None:
    told: list[tuple[int, int]] = []
    arrays = preprocess(_spec(bids(TABLE, FILES)), workspace, progress=lambda done, n: told.append((done, n)))
    assert (arrays.rows, arrays.subjects, arrays.shape, arrays.dtype) == (3, 3, (1, 16, 16, 16), "float16")
    assert told == [(1, 3), (2, 3), (3, 3)]
    store = ArrayStore(arrays, workspace)
    assert [record.columns["age"] for record in store.table] == ["20", "30,5", "n/a"]
    assert [record.file for record in store.table] == FILES
    brain = store.read([0, 1, 2])[:, :, 4:-4, 4:-4, 4:-4]
    np.testing.assert_allclose(brain.mean(axis=(1, 2, 3, 4)), 0, atol=0.05)
    np.testing.assert_allclose(brain.std(axis=(1, 2, 3, 4)), 1, atol=0.05)


def test_the_mask_sets_the_scale_whatever_its_own_grid(bids: Write, workspace: Workspace, save: Write) -> None:
    root = bids("participant_id\n01\n", FILES[:1])
    mask = np.zeros((32, 32, 32), np.uint8)
    mask[2:14, 2:14, 2:14] = 1
    affine = np.array([[-1.5, 0, 0, 45.75], [0, 1.5, 0, -0.75], [0, 0, 1.5, -0.75], [0, 0, 0, 1]])
    save(root / "sub-01/anat/sub-01_desc-brain_mask.nii.gz", mask, affine)
    inside = ArrayStore(preprocess(_spec(root), workspace), workspace).read([0])
    whole = ArrayStore(preprocess(_spec(root, mask=False), workspace), workspace).read([0])
    assert np.corrcoef(inside.ravel(), whole.ravel())[0, 1] > 0.999
    assert abs(inside.mean() - whole.mean()) > 0.1


@pytest.mark.parametrize("slope", [0.5, -0.5])
def test_the_scale_of_the_header_counts_and_the_padding_is_dark(
    bids: Write, workspace: Workspace, slope: float
) -> None:
    root = bids("participant_id\n01\n02\n", FILES[:2])
    voxels = np.asarray(nib.load(root / FILES[0]).dataobj)
    image = nib.Nifti1Image((voxels / slope).astype(np.int16), np.diag([3.0, 3, 3, 1]))
    image.header.set_slope_inter(slope, 0)
    (root / FILES[1]).write_bytes(gzip.compress(image.to_bytes()))
    plain, scaled = ArrayStore(
        preprocess(_spec(root, SMALL.model_copy(update={"shape": (20,) * 3})), workspace), workspace
    ).read([0, 1])
    np.testing.assert_allclose(scaled, plain, atol=0.01)
    assert plain[0, 0, 0, 0] == plain.min()


@pytest.mark.parametrize("dtype", ["float16", "uint8"])
def test_the_result_is_the_same_with_any_number_of_workers(bids: Write, tmp_path: Path, dtype: str) -> None:
    root = bids(TABLE, FILES)
    options = SMALL.model_copy(update={"dtype": dtype})
    written = set()
    for workers in (1, 3):
        workspace = Workspace(tmp_path / f"w{workers}")
        arrays = preprocess(_spec(root, options), workspace, workers=workers)
        written.add((workspace.root / arrays.path / "images.npy").read_bytes())
    assert len(written) == 1


def test_what_is_stored_is_not_made_again(bids: Write, workspace: Workspace) -> None:
    root = bids(TABLE, FILES)
    first = preprocess(_spec(root), workspace)
    images = workspace.root / first.path / "images.npy"
    written = images.stat().st_mtime_ns
    told: list[int] = []
    assert preprocess(_spec(root, name="other"), workspace, progress=lambda done, _: told.append(done)) == first
    assert told == []
    assert images.stat().st_mtime_ns == written


def test_the_identity_is_content_and_not_place_or_time(bids: Write, workspace: Workspace, tmp_path: Path) -> None:
    root = bids(TABLE, FILES)
    first = preprocess(_spec(root), workspace).fingerprint
    shutil.copytree(root, tmp_path / "copy")
    for path in (tmp_path / "copy").rglob("*.nii.gz"):
        os.utime(path, (1, 1))
    assert preprocess(_spec(tmp_path / "copy"), workspace).fingerprint == first


def test_the_identity_follows_images_cells_and_options(bids: Write, workspace: Workspace, save: Write) -> None:
    root = bids(TABLE, FILES)
    seen = {preprocess(_spec(root), workspace).fingerprint}
    seen.add(preprocess(_spec(root, SMALL.model_copy(update={"spacing": 4.0})), workspace).fingerprint)
    (root / "participants.tsv").write_text(TABLE.replace("20", "21"))
    seen.add(preprocess(_spec(root), workspace).fingerprint)
    save(root / FILES[0], 77)
    seen.add(preprocess(_spec(root), workspace).fingerprint)
    assert len(seen) == 4


def test_identical_content_has_one_digest_however_it_is_stored(bids: Write, workspace: Workspace) -> None:
    root = bids(TABLE, FILES)
    image = nib.load(root / FILES[0])
    twin = image.as_reoriented([[1, 1], [0, -1], [2, 1]])
    nib.save(nib.Nifti1Image(twin.dataobj[:].astype(np.float32), twin.affine), root / FILES[1])
    table = ArrayStore(preprocess(_spec(root), workspace), workspace).table
    assert table[0].sha256 == table[1].sha256 != table[2].sha256


def _spoil(root: Path, save: Write) -> dict[str, str]:
    """Make a dataset of every fault; file -> what must be said of it."""
    good = save(root / "sub-good/anat/sub-good_T1w.nii.gz", 1)
    raw = gzip.decompress(good.read_bytes())
    spoilt = {
        "truncated": (good.read_bytes()[:-100], "the file is truncated"),
        "text": (b"hello", "a NIfTI file .* is needed"),
        "huge": (gzip.compress(raw[:40] + struct.pack("<4h", 3, 5000, 5000, 2000) + raw[48:]), r"\(100 GB\)"),
        "flat": (gzip.compress(raw[:280] + bytes(48) + raw[328:]), "the affine must be finite and invertible"),
        "series": (None, r"one volume of three axes .*\(4-D\)"),
        "nan": (None, "every voxel must be finite; 1 of 64 are NaN"),
        "black": (None, "the image is empty: around its centre every voxel is 0"),
        "link": (None, "a link must not point out"),
        "blind": (None, "the mask must mark the brain; nothing of it"),
    }
    for name, (data, _) in spoilt.items():
        if data is not None:
            path = root / f"sub-{name}/anat/sub-{name}_T1w.nii.gz"
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
    bad = np.ones((4, 4, 4), np.float32)
    bad[0, 0, 0] = np.nan
    save(root / "sub-series/anat/sub-series_T1w.nii.gz", np.arange(128, dtype=np.int16).reshape(4, 4, 4, 2))
    save(root / "sub-nan/anat/sub-nan_T1w.nii.gz", bad)
    save(root / "sub-black/anat/sub-black_T1w.nii.gz", np.zeros((4, 4, 4), np.int16))
    save(root / "sub-blind/anat/sub-blind_T1w.nii.gz", 5)
    save(root / "sub-blind/anat/sub-blind_desc-brain_mask.nii", np.zeros((4, 4, 4), np.uint8))
    (root / "sub-link/anat").mkdir(parents=True)
    (root / "sub-link/anat/sub-link_T1w.nii.gz").symlink_to(save(root.parent / "outside.nii.gz", 9))
    said = {f"sub-{name}/anat/sub-{name}_T1w.nii.gz": message for name, (_, message) in spoilt.items()}
    save(root / "sub-unlisted/anat/sub-unlisted_T1w.nii.gz", 3)
    rows = [*spoilt, "good", "absent"]
    (root / "participants.tsv").write_text("participant_id\n" + "".join(f"{row}\n" for row in rows))
    return said | {"sub-unlisted": "needs a line in participants.tsv", "sub-absent": "needs an image"}


def test_every_fault_is_listed_with_its_file_when_bad_subjects_are_excluded(
    tmp_path: Path, save: Write, workspace: Workspace
) -> None:
    (tmp_path / "d").mkdir()
    said = _spoil(tmp_path / "d", save)
    arrays = preprocess(_spec(tmp_path / "d", EXCLUDE), workspace)
    assert [record.subject for record in ArrayStore(arrays, workspace).table] == ["sub-good"]
    assert len(arrays.excluded) == len(said)
    for file, message in said.items():
        (fault,) = (fault for fault in arrays.excluded if fault.place.partition(" ")[0] == file)
        assert re.search(message, fault.reason)
        assert "sub-" not in fault.reason.replace("sub-*", "")
        assert str(tmp_path) not in str(fault)


def test_every_fault_is_counted_and_ten_are_shown_when_bad_subjects_stop_the_run(
    tmp_path: Path, save: Write, workspace: Workspace
) -> None:
    (tmp_path / "d").mkdir()
    _spoil(tmp_path / "d", save)
    with pytest.raises(DataError, match="^11 subjects or images cannot be used:") as caught:
        preprocess(_spec(tmp_path / "d"), workspace, workers=2)
    lines = str(caught.value).splitlines()
    assert len(lines) == 13
    assert lines[-2:] == ["  and 1 more", "Repair them, or set `on_bad_subject: exclude`."]
    assert not list((workspace.root / "arrays").iterdir())


def test_what_was_excluded_still_stops_a_run_that_wants_none(bids: Write, workspace: Workspace) -> None:
    root = bids(TABLE, FILES[:2])
    assert len(preprocess(_spec(root, EXCLUDE), workspace).excluded) == 1
    with pytest.raises(DataError, match="^1 subjects or images cannot be used:\n  sub-03: a line"):
        preprocess(_spec(root), workspace)


def test_a_dataset_without_a_usable_image_stops_in_any_case(bids: Write, workspace: Workspace) -> None:
    root = bids(TABLE, [])
    with pytest.raises(DataError, match="No image is left"):
        preprocess(_spec(root, EXCLUDE), workspace)


def test_texts_of_the_header_do_not_travel(bids: Write, workspace: Workspace) -> None:
    root = bids("participant_id\n01\n", FILES[:1])
    image = nib.Nifti1Image(np.asarray(nib.load(root / FILES[0]).dataobj), np.diag([3.0, 3, 3, 1]))
    image.header["descrip"], image.header["db_name"], image.header["aux_file"] = b"Jane Doe", b"Jane Doe", b"Jane Doe"
    image.header["intent_name"] = b"Jane Doe"
    with (root / FILES[0]).open("wb") as raw, gzip.GzipFile("Jane Doe.nii", "wb", fileobj=raw) as file:
        file.write(image.to_bytes())
    arrays = preprocess(_spec(root), workspace)
    for path in workspace.root.rglob("*"):
        assert path.is_dir() or b"Jane Doe" not in path.read_bytes()
    assert str(root) not in (workspace.root / arrays.path / "stored.json").read_text()


def test_pictures_become_an_array_with_their_class_and_split(tmp_path: Path, workspace: Workspace) -> None:
    rng = np.random.default_rng(0)
    for file in ("train/cat/a.png", "train/dog/b.png", "test/cat/c.png"):
        (tmp_path / "d" / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (9, 12), np.uint8)).save(tmp_path / "d" / file)
    options = PreprocessSpec(shape=(8, 8), channels=3, dtype="uint8")
    arrays = preprocess(ImagesSpec(root=str(tmp_path / "d"), preprocess=options), workspace, workers=2)
    store = ArrayStore(arrays, workspace)
    assert arrays.shape == (3, 8, 8)
    assert [record.columns for record in store.table] == [
        {"class": "cat", "split": "test"}, {"class": "cat", "split": "train"}, {"class": "dog", "split": "train"},
    ]  # fmt: skip
    assert store.read([0, 1, 2]).mean() == pytest.approx(0, abs=0.1)


def test_a_damaged_picture_is_named(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "d/cat").mkdir(parents=True)
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "d/cat/a.png")
    (tmp_path / "d/cat/b.png").write_bytes(b"none")
    with pytest.raises(DataError, match=r"cat/b\.png: a picture .* is needed"):
        preprocess(ImagesSpec(root=str(tmp_path / "d"), preprocess=PreprocessSpec(shape=(8, 8))), workspace)


def test_the_shape_must_fit_the_kind_of_images(tmp_path: Path, workspace: Workspace) -> None:
    with pytest.raises(
        ConfigError, match=r"datasets\.brains\.preprocess\.shape needs 3 numbers for bids; got \[8, 8\]"
    ):
        preprocess(BidsSpec(name="brains", root=".", preprocess=PreprocessSpec(shape=(8, 8))), workspace)
    with pytest.raises(ConfigError, match="needs 2 numbers for images"):
        preprocess(ImagesSpec(root="."), workspace)


def test_a_cohort_is_grown_once_for_all_its_preprocessings(workspace: Workspace) -> None:
    cohort = CohortSpec(name="demo", subjects=2, spacing=8.0, preprocess=SMALL)
    told: list[tuple[int, int]] = []
    arrays = preprocess(cohort, workspace, progress=lambda done, n: told.append((done, n)))
    assert (arrays.rows, arrays.subjects, arrays.excluded) == (2, 2, ())
    assert told == [(1, 2), (2, 2)] * 2
    assert {"age", "sex", "site"} <= set(ArrayStore(arrays, workspace).table[0].columns)
    (folder,) = (workspace.root / "cohorts").iterdir()
    other = cohort.model_copy(update={"name": "other", "preprocess": SMALL.model_copy(update={"dtype": "uint8"})})
    assert preprocess(other, workspace).fingerprint != arrays.fingerprint
    assert list((workspace.root / "cohorts").iterdir()) == [folder]
    shutil.rmtree(folder)
    assert preprocess(cohort, workspace) == arrays


def test_a_full_disk_is_a_workspace_error(bids: Write, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    root = bids(TABLE, FILES)
    opened = Path.open

    def full(self: Path, mode: str = "r", **options: object) -> object:
        return (
            opened(Path("/dev/full"), mode, buffering=0) if self.name == "images.npy" else opened(self, mode, **options)
        )

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(WorkspaceError, match="is full. What is finished is safe: free some space"):
        preprocess(_spec(root), workspace)
    assert not list((workspace.root / "arrays").iterdir())


def test_the_table_in_the_workspace_is_plain_json(bids: Write, workspace: Workspace) -> None:
    arrays = preprocess(_spec(bids(TABLE, FILES)), workspace)
    rows = json.loads((workspace.root / arrays.path / "table.json").read_text())
    assert rows[1]["subject"] == "sub-02"
    assert rows[1]["columns"] == {"age": "30,5"}
