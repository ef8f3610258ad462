"""A small dataset of each kind, made on the fly."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import matplotlib
import nibabel as nib
import numpy as np
from PIL import Image
from published import idx, write_emnist

from ctlr.data.kinds.signals.writing import write_edf
from ctlr.specs import (
    DATASETS,
    BidsSpec,
    CohortSpec,
    DatasetSpec,
    DigitsSpec,
    FontsSpec,
    IdxSpec,
    ImagesSpec,
    NpzSpec,
    PreprocessSpec,
    SeriesPreprocess,
    SeriesSpec,
    SignalsPreprocess,
    SignalsSpec,
    TissueSpec,
    TorchvisionSpec,
    VolumesSpec,
)

__all__ = ["EXAMPLES", "FLAT", "SEGMENTS", "SOLID"]

FLAT = PreprocessSpec(shape=(16, 16), channels=3, normalise="percentile", dtype="uint8")
SEGMENTS = SignalsPreprocess(montage=("C3-Cz", "C4"), segment=4.0)
SOLID = PreprocessSpec(shape=(16, 16, 16), spacing=3.0, on_bad_subject="exclude")


def _bids(folder: Path) -> BidsSpec:
    """Two subjects with an image, in files whose bytes no library decides, and one without."""
    rng = np.random.default_rng(0)
    for number in (1, 2):
        path = folder / f"sub-{number}/ses-1/anat/sub-{number}_ses-1_desc-preproc_T1w.nii"
        path.parent.mkdir(parents=True)
        voxels = rng.integers(1, 1000, (16, 16, 16)).astype(np.int16)
        path.write_bytes(nib.Nifti1Image(voxels, np.diag([3.0, 3.0, 3.0, 1.0])).to_bytes())
    (folder / "participants.tsv").write_text("participant_id\tage\n1\t20\n2\t30\n3\t40\n")
    (folder / "participants.json").write_text('{"age": {"Units": "years"}}')
    return BidsSpec(name="scans", root=str(folder), session="1", desc="preproc", mask=False, preprocess=SOLID)


def _images(folder: Path) -> ImagesSpec:
    rng = np.random.default_rng(0)
    for file in ("train/cat/1.bmp", "train/dog/2.bmp", "test/cat/3.bmp"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / file)
    return ImagesSpec(name="pictures", root=str(folder), preprocess=FLAT)


def _cohort(folder: Path) -> CohortSpec:
    return CohortSpec(name="grown", subjects=3, seed=5, spacing=8.0, overlap=0.25, preprocess=SOLID)


def _torchvision(folder: Path) -> TorchvisionSpec:
    write_emnist(folder)
    return TorchvisionSpec(
        name="letters", set="emnist-balanced", root=str(folder), classes=("A", "B"), per_class=4, preprocess=FLAT
    )


def _digits(folder: Path) -> DigitsSpec:
    return DigitsSpec(name="figures", domain="textured", classes=("1", "7"), per_class=5, seed=2, preprocess=FLAT)


def _idx(folder: Path) -> IdxSpec:
    rng = np.random.default_rng(0)
    for part, count in (("train", 12), ("t10k", 6)):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (count, 20, 20), np.uint8)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.arange(count, dtype=np.uint8) % 3))
    return IdxSpec(name="clothes", root=str(folder), names=("shirt", "coat", "bag"), per_class=3, preprocess=FLAT)


def _fonts(folder: Path) -> FontsSpec:
    for name in ("DejaVuSans.ttf", "DejaVuSerif.ttf", "STIXGeneral.ttf"):
        (folder / name).write_bytes((Path(matplotlib.get_data_path()) / "fonts/ttf" / name).read_bytes())
    return FontsSpec(name="type", root=str(folder), letters="AgQ8", preprocess=FLAT)


def _tissue(folder: Path) -> TissueSpec:
    return TissueSpec(name="sections", cases=4, slides=1, patches=2, side=48, seed=3, preprocess=FLAT)


def _npy(folder: Path) -> DatasetSpec:
    rng = np.random.default_rng(0)
    for number in (1, 2, 3):
        np.save(folder / f"sub-{number}.npy", rng.integers(1, 1000, (16, 16, 16)).astype(np.int16))
    table = {f"sub-{number}": {"age": str(20 + number)} for number in (1, 2, 3)}
    (folder / "subjects.json").write_text(json.dumps(table))
    return DATASETS["npy"].model_validate({"name": "arrays", "root": str(folder), "preprocess": SOLID})


def _arrays(kind: str) -> Callable[[Path], DatasetSpec]:
    """As the kind itself says."""
    return lambda folder: DATASETS[kind].example(folder)  # type: ignore[return-value]


def _signals(folder: Path) -> SignalsSpec:
    """Three patients with two events each."""
    for number in (1, 2, 3):
        values = np.random.default_rng(number).integers(-500, 500, (3, 2000)) / 10
        labels, seen = ["EEG C3-REF", "EEG Cz-REF", "EEG C4-REF"], [(0, 10, "rest"), (12, 8, "seizure")]
        write_edf(folder / f"sub-{number}_eeg.edf", labels, values, 100, seen)
    (folder / "participants.tsv").write_text("participant_id\tage\nsub-1\t21\nsub-2\t22\n3\t23\n")
    return SignalsSpec(name="recordings", root=str(folder), min_event=4.0, preprocess=SEGMENTS)


def _series(folder: Path) -> SeriesSpec:
    """Six series of two channels."""
    rng = np.random.default_rng(0)
    header = "@problemName Six\n@timeStamps false\n@univariate false\n@classLabel true a b\n@data\n"
    for side, labels in (("TRAIN", "abab"), ("TEST", "ba")):
        rows = [rng.integers(0, 100, (2, 16)).tolist() for _ in labels]
        lines = [
            ":".join([*(",".join(map(str, channel)) for channel in row), label])
            for row, label in zip(rows, labels, strict=True)
        ]
        (folder / f"Six_{side}.ts").write_text(header + "\n".join(lines) + "\n")
    return SeriesSpec(name="waves", root=str(folder), preprocess=SeriesPreprocess(shape=(2, 16)))


def _volumes(folder: Path) -> VolumesSpec:
    """Two scans of one person and one of another, in folders that the table names."""
    rng = np.random.default_rng(0)
    for name in ("p1_v1", "p1_v2", "p2_v1"):
        (folder / name).mkdir()
        voxels = rng.integers(1, 1000, (16, 16, 16)).astype(np.int16)
        (folder / name / f"{name}_T1.nii").write_bytes(nib.Nifti1Image(voxels, np.diag([3.0, 3, 3, 1])).to_bytes())
    (folder / "scans.csv").write_text("ID,Age\np1_v1,20\np1_v2,22\np2_v1,40\n")
    return VolumesSpec(
        name="scans", root=str(folder), table="scans.csv", file_column="ID", group="([^/]+)_v", preprocess=SOLID
    )


def _npz(folder: Path) -> NpzSpec:
    """Six pictures on three sides; no library decides the archive's bytes."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(folder / "six.npz", "w") as archive:
        for side, count in (("train", 3), ("val", 1), ("test", 2)):
            arrays = {"images": rng.integers(0, 256, (count, 20, 20), np.uint8), "labels": np.arange(count)[:, None]}
            for what, values in arrays.items():
                file = io.BytesIO()
                np.save(file, values.astype(np.uint8))
                archive.writestr(zipfile.ZipInfo(f"{side}_{what}.npy"), file.getvalue())
    return NpzSpec(name="six", root=str(folder), names=("a", "b", "c"), preprocess=FLAT)


EXAMPLES: Mapping[str, Callable[[Path], DatasetSpec]] = {
    "bids": _bids, "images": _images, "cohort": _cohort, "torchvision": _torchvision, "digits": _digits,
    "tissue": _tissue, "idx": _idx, "fonts": _fonts, "npy": _npy,
    "dots": _arrays("dots"), "waves": _arrays("waves"), "points": _arrays("points"),
    "generated_points": _arrays("generated_points"),
    "signals": _signals, "series": _series, "volumes": _volumes, "npz": _npz,
}  # fmt: skip
"""By kind: fills an empty folder where the dataset lies in one."""
