"""Folders as public data comes: ten layouts and a twin of one, made small, whose images show what their tables say.

Names of files and folders, columns and their odd cells are those of the real ones; voxels and pixels are drawn. Every
generator writes below `root`, which it makes, and returns what a user would name: `ctlr init --data <this>`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

__all__ = ["LAYOUTS", "adni", "cat12", "fmriprep", "kaggle_classes", "kaggle_named", "kaggle_nested", "kaggle_split",
           "kaggle_table", "medmnist", "oasis", "openneuro"]  # fmt: skip

SHAPE = (12, 14, 12)
SPACING = 14.0
"""mm: a head fits in."""
MARK = "\ufeff"
"""The byte-order mark that Excel puts before a table."""

Rng = np.random.Generator
Volume = NDArray[np.float32]


# ---------------------------------------------------------------- what all of them draw


def _head(rng: Rng, *, age: float, sex: str, ill: bool = False) -> Volume:
    """A ball with a dark middle that grows with age and illness; men's is larger.

    Folds of its own keep it from being taken for a copy of another head.
    """
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    outer = 0.86 if sex == "M" else 0.72
    middle = 0.12 + 0.4 * (age - 18) / 80 + 0.12 * ill
    folds = 60 * ndimage.gaussian_filter(rng.normal(size=SHAPE), 0.8)
    voxels = (90 + folds) * (radius < outer) - 60.0 * (radius < middle)
    return np.maximum(voxels + rng.normal(0, 2, SHAPE) * (radius < outer), 0).astype(np.float32)


def _save(path: Path, voxels: NDArray[np.generic]) -> None:
    """Write a volume; the ending says in which format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([SPACING, SPACING, SPACING, 1.0])
    affine[:3, 3] = [-SPACING * (n - 1) / 2 for n in SHAPE]
    kind = nibabel.Nifti1Pair if path.suffix == ".img" else nibabel.Nifti1Image
    nibabel.save(kind(voxels, affine), path)


def _picture(path: Path, rng: Rng, code: int, *, colour: bool = False) -> None:
    """Write a picture of its class's bars."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = _bars(rng, code, side=int(rng.integers(36, 49)))
    kept = np.stack([pixels, pixels // 2, 255 - pixels], axis=-1) if colour else pixels
    Image.fromarray(kept).save(path)


def _bars(rng: Rng, code: int, *, side: int) -> NDArray[np.uint8]:
    """(side, side): bars upright, lying or crossed by class, on clouds that no two pictures share."""
    image = 70 + 240 * ndimage.gaussian_filter(rng.normal(size=(side, side)), 1.5)
    at, width = int(rng.integers(4, side - 12)), int(rng.integers(5, 8))
    if code in (0, 2):
        image[:, at : at + width] += 120
    if code in (1, 2):
        image[at : at + width] += 120
    return np.clip(image, 0, 255).astype(np.uint8)


def _people(rng: Rng, count: int) -> list[tuple[float, str]]:
    """Age, spread over 18 to 90, and sex of each, half of them women."""
    ages = rng.permutation(np.linspace(18, 90, count) + rng.uniform(-0.4, 0.4, count))
    return [(round(float(age), 1), "FM"[number % 2]) for number, age in enumerate(ages)]


def _text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def _json(path: Path, value: object) -> None:
    _text(path, json.dumps(value, indent=2) + "\n")


def _tsv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    _text(path, "".join("\t".join(map(str, row)) + "\n" for row in rows))


def _csv(path: Path, rows: Iterable[Sequence[object]], *, mark: bool = False, quoted: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig" if mark else "utf-8", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL).writerows(rows)


def _left_by_systems(*folders: Path) -> None:
    """What macOS and Windows leave in folders."""
    for folder in folders:
        (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1\0")
        (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


# ---------------------------------------------------------------- BIDS and its derivatives


def openneuro(root: Path, seed: int = 0) -> Path:
    """A raw dataset as OpenNeuro has it: 24 subjects, half of them seen twice, images of other kinds beside T1.

    Held against the BIDS specification 1.9 and trees of OpenNeuroDatasets, e.g. ds000114 (two sessions, test and
    retest). Odd: one age `n/a`, one `89+`, a line of participants.tsv without any image, and files that macOS left.
    """
    rng = np.random.default_rng([seed, 1])
    people = _people(rng, 24)
    _raw(root, people, suffixes=("T1w", "T2w"), sessions=True, rng=rng)
    rows = [["participant_id", "age", "sex", "handedness", "group", "site"]]
    rows += [
        [f"sub-{number + 1:02}", age, sex, "right" if number % 7 else "left", "control" if number % 3 else "patient",
         "zurich" if number % 2 else "geneva"]
        for number, (age, sex) in enumerate(people)
    ]  # fmt: skip
    rows[6][1], rows[max(range(1, 25), key=lambda row: people[row - 1][0])][1] = "n/a", "89+"
    rows.append(["sub-25", "33.0", "F", "n/a", "control", "geneva"])
    _tsv(root / "participants.tsv", rows)
    columns = {
        "age": {"Description": "age at the first session", "Units": "years"},
        "sex": {"Description": "sex", "Levels": {"F": "female", "M": "male"}},
        "handedness": {"Levels": {"left": "left", "right": "right"}},
        "group": {"Levels": {"control": "no diagnosis", "patient": "a diagnosis"}},
        "site": {"Description": "where the scanner stands"},
    }
    _json(root / "participants.json", columns)
    _text(root / "sourcedata/sub-01/dicoms.tgz", "")
    _text(root / "code/convert.py", "print('dcm2bids')\n")
    _text(root / "stimuli/words.txt", "house\ntree\n")
    _json(root / "derivatives/mriqc/dataset_description.json", {"Name": "MRIQC", "BIDSVersion": "1.4.0"})
    _tsv(root / "derivatives/mriqc/group_T1w.tsv", [["bids_name", "cnr"], ["sub-01_ses-test_T1w", 3.1]])
    (root / ".DS_Store").write_bytes(b"\0\0\0\1Bud1\0")
    (root / "sub-01/ses-test/anat/._sub-01_ses-test_T1w.nii.gz").write_bytes(b"\0\5\x16\7")
    return root


def _raw(root: Path, people: Sequence[tuple[float, str]], *, suffixes: Sequence[str], sessions: bool, rng: Rng) -> None:
    """Images with their JSON files, and what a raw dataset has at its top."""
    _json(root / "dataset_description.json", {"Name": "Small heads", "BIDSVersion": "1.9.0", "License": "CC0"})
    _text(root / "README", "Heads of people of all ages.\n")
    _text(root / "CHANGES", "1.0.0 2021-05-04\n  - Initial release\n")
    _text(root / ".bidsignore", "extra/\n")
    _json(root / "task-rest_bold.json", {"TaskName": "rest", "RepetitionTime": 2.0})
    for number, (age, sex) in enumerate(people):
        subject = f"sub-{number + 1:02}"
        visits = (["test", "retest"] if number % 2 else ["test"]) if sessions else [""]
        for visit in visits:
            folder = root / subject / (f"ses-{visit}" if visit else "")
            stem = f"{subject}_ses-{visit}" if visit else subject
            head = _head(rng, age=age, sex=sex)
            for suffix in suffixes:
                voxels = head if suffix == "T1w" else (head.max() - head).astype(np.float32)
                _save(folder / f"anat/{stem}_{suffix}.nii.gz", voxels)
                _json(folder / f"anat/{stem}_{suffix}.json", {"MagneticFieldStrength": 3, "FlipAngle": 9})
            series = rng.integers(0, 200, (*SHAPE, 4)).astype(np.int16)
            _save(folder / f"func/{stem}_task-rest_bold.nii.gz", series)
            events = [["onset", "duration", "trial_type"], [0.0, 2.0, "rest"]]
            _tsv(folder / f"func/{stem}_task-rest_events.tsv", events)
            scans = [["filename", "acq_time"], [f"anat/{stem}_T1w.nii.gz", "1877-06-15T12:00:00"]]
            _tsv(folder / f"{stem}_scans.tsv", scans)


def fmriprep(root: Path, seed: int = 0) -> Path:
    """What fMRIPrep makes of a raw dataset, which alone has participants.tsv: 24 subjects, in two spaces.

    Held against fMRIPrep's page "Outputs" (23.1) and its list of test outputs, `.circleci/ds054_outputs.txt`: a report
    a subject as HTML, `desc-preproc_T1w` and `desc-brain_mask` in the subject's space and in MNI152NLin2009cAsym at
    2 mm, tissue maps, transforms, figures, logs. Odd: ages of two are missing, once as `n/a` and once empty.
    """
    rng = np.random.default_rng([seed, 2])
    people = _people(rng, 24)
    _raw(root, people, suffixes=("T1w",), sessions=False, rng=rng)
    rows: list[list[object]] = [["participant_id", "age", "sex"]]
    rows += [[f"sub-{number + 1:02}", age, sex] for number, (age, sex) in enumerate(people)]
    rows[3][1], rows[9][1] = "n/a", ""
    _tsv(root / "participants.tsv", rows)
    made = root / "derivatives/fmriprep"
    about = {
        "Name": "fMRIPrep - fMRI PREProcessing workflow",
        "BIDSVersion": "1.4.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "fMRIPrep", "Version": "23.1.2", "CodeURL": "https://github.com/nipreps/fmriprep"}],
    }
    _json(made / "dataset_description.json", about)
    _text(made / ".bidsignore", "*.html\nlogs/\nfigures/\n*_xfm.*\n")
    _text(made / "logs/CITATION.md", "Results included in this manuscript come from preprocessing.\n")
    _tsv(made / "desc-aseg_dseg.tsv", [["index", "name"], [2, "Left-Cerebral-White-Matter"]])
    for number, (age, sex) in enumerate(people):
        subject = f"sub-{number + 1:02}"
        _text(made / f"{subject}.html", "<!DOCTYPE html><title>fMRIPrep</title>\n")
        _text(made / f"{subject}/figures/{subject}_desc-reconall_T1w.svg", "<svg/>\n")
        for space in ("", "_space-MNI152NLin2009cAsym_res-2"):
            stem = made / subject / "anat" / f"{subject}{space}"
            head = _head(rng, age=age, sex=sex)
            _save(Path(f"{stem}_desc-preproc_T1w.nii.gz"), head + (head > 0) * np.float32(5))
            _save(Path(f"{stem}_desc-brain_mask.nii.gz"), (head > 0).astype(np.uint8))
            _save(Path(f"{stem}_dseg.nii.gz"), (head > 45).astype(np.uint8))
            _save(Path(f"{stem}_label-GM_probseg.nii.gz"), head / head.max())
            _json(Path(f"{stem}_desc-preproc_T1w.json"), {"SkullStripped": False})
        transform = made / subject / "anat" / f"{subject}_from-T1w_to-MNI152NLin2009cAsym_mode-image_xfm.h5"
        transform.write_bytes(b"\x89HDF\r\n\x1a\n")
    return made


def cat12(root: Path, seed: int = 0) -> Path:
    """Grey matter maps of CAT12 in a BIDS tree: derivatives/CAT12.8.1/sub-*/anat/mwp1sub-*_T1w.nii, 24 subjects.

    Held against CAT12's manual (naming of output files: mwp1 is modulated, normalised grey matter, p0 labels, wm the
    bias-corrected image) and its script for BIDS folders, which puts them below `derivatives/CAT12.8.1`. Only the raw
    dataset has participants.tsv. Odd: it begins with a byte-order mark, and sex stands as 1 and 2.
    """
    rng = np.random.default_rng([seed, 3])
    people = _people(rng, 24)
    _raw(root, people, suffixes=("T1w",), sessions=False, rng=rng)
    rows: list[list[object]] = [[f"{MARK}participant_id", "age", "gender", "TIV"]]
    rows += [
        [f"sub-{number + 1:02}", age, 1 if sex == "M" else 2, 1300 + 200 * (sex == "M")]
        for number, (age, sex) in enumerate(people)
    ]
    _tsv(root / "participants.tsv", rows)
    made = root / "derivatives/CAT12.8.1"
    for number, (age, sex) in enumerate(people):
        subject = f"sub-{number + 1:02}"
        folder, head = made / subject / "anat", _head(rng, age=age, sex=sex)
        maps = {"mwp1": head / 100, "mwp2": (head > 60).astype(np.float32), "p0": (head > 45) * 2, "wm": head}
        for prefix, voxels in maps.items():
            _save(folder / f"{prefix}{subject}_T1w.nii", voxels.astype(np.uint8 if prefix == "p0" else np.float32))
        _text(folder / f"cat_{subject}_T1w.xml", "<?xml version='1.0'?><S/>\n")
        _text(folder / f"catlog_{subject}_T1w.txt", "CAT12.8.1\n")
        _text(folder / f"catreport_{subject}_T1w.pdf", "%PDF-1.4\n")
        _text(folder / f"lh.thickness.{subject}_T1w", "")
    return made


# ---------------------------------------------------------------- volumes beside a CSV file


def oasis(root: Path, seed: int = 0, *, ending: str = ".nii.gz") -> Path:
    """OASIS-1: a folder a visit, OAS1_0001_MR1, and oasis_cross-sectional.csv: 30 people, of whom two came twice.

    Held against the published table (`ID,M/F,Hand,Age,Educ,SES,MMSE,CDR,eTIV,nWBV,ASF,Delay`) and the tree of the
    discs: PROCESSED/MPRAGE/T88_111/*_mpr_n4_anon_111_t88_masked_gfc, FSL_SEG beside it, pictures as .gif. The images
    are published as .hdr/.img pairs (`ending=".img"`) and handed on as .nii.gz as a rule. Odd: numbers are left out,
    CDR and MMSE are empty for the young, SES for some of the old, Delay is N/A but for a second visit.
    """
    rng = np.random.default_rng([seed, 4])
    header = ["ID", "M/F", "Hand", "Age", "Educ", "SES", "MMSE", "CDR", "eTIV", "nWBV", "ASF", "Delay"]
    rows: list[Sequence[object]] = []
    again: list[Sequence[object]] = []
    for number, (age, sex) in enumerate(_people(rng, 30)):
        label = 1 + number + number // 7  # some were never published
        old = age > 45
        ill = bool(old and number % 2)
        scores = [1 + number % 5, "" if number % 6 == 0 else 1 + number % 4, 24 if ill else 29, 0.5 if ill else 0]
        volume = round(0.92 - 0.0025 * age - 0.03 * ill, 3)
        for visit in (1, 2) if number in (4, 12) else (1,):
            name = f"OAS1_{label:04}_MR{visit}"
            cells = [name, sex, "R", int(age), *(scores if old else [""] * 4), 1200 + 10 * number, volume, 1.2]
            (again if visit == 2 else rows).append([*cells, "N/A" if visit == 1 else 40])
            processed = root / name / "PROCESSED/MPRAGE/T88_111" / f"{name}_mpr_n4_anon_111_t88_masked_gfc"
            head = _head(rng, age=age, sex=sex, ill=ill)
            _save(Path(f"{processed}{ending}"), head)
            slice_ = Image.fromarray(np.clip(2 * head[:, :, SHAPE[2] // 2], 0, 255).astype(np.uint8))
            slice_.save(f"{processed}_tra_90.gif")
            segmented = (head > 45).astype(np.uint8)
            _save(root / name / "FSL_SEG" / f"{processed.name}_fseg{ending}", segmented)
            _text(root / name / f"{name}.txt", f"SESSION ID:   {name}\nAGE:          {int(age)}\n")
            _text(root / name / f"{name}.xml", "<?xml version='1.0'?>\n")
    _csv(root / "oasis_cross-sectional.csv", [header, *rows, *again])
    _left_by_systems(root)
    return root


def adni(root: Path, seed: int = 0) -> Path:
    """A collection of ADNI as its archive sends it: ADNI/<subject>/<series>/<date>/<image>/*.nii and a CSV file.

    24 subjects, most of them seen two or three times. Held against downloads of LONI's archive: columns `Image Data
    ID`, `Subject`, `Group`, `Sex`, `Age`, `Visit`, `Modality`, `Description`, `Type`, `Acq Date`, `Format`,
    `Downloaded`, all cells quoted; the name of a file ends in the id of its image. Odd: a byte-order mark, one image
    of the table was not downloaded, one age is empty, a series of another name, an XML file beside each.
    """
    rng = np.random.default_rng([seed, 5])
    header = ["Image Data ID", "Subject", "Group", "Sex", "Age", "Visit", "Modality", "Description", "Type", "Acq Date",
              "Format", "Downloaded"]  # fmt: skip
    rows: list[Sequence[object]] = []
    series = ("MPR; GradWarp; B1 Correction; N3; Scaled", "MPR-R; GradWarp; N3; Scaled")
    for number, (years, sex) in enumerate(_people(rng, 24)):
        age, group = 55 + years * 0.4, ("CN", "MCI", "AD")[number % 3]
        subject = f"{2 + number % 5:03}_S_{295 + 37 * number:04}"
        for visit, months in list(zip(("sc", "m06", "m12"), (0, 6, 12), strict=True))[: 1 + number % 3]:
            image, what = 40966 + 101 * number + months, series[number % 8 == 3]
            day, month, year = 2 + number, 1 + months // 2, 2006
            told_age = "" if number == 5 else int(age + months / 12)
            rows.append([f"I{image}", subject, group, sex, told_age, visit, "MRI", what, "Processed",
                         f"{month}/{day}/{year}", "NiFTI", f"{month}/20/2011"])  # fmt: skip
            if number == 10:
                continue
            named = what.replace(" ", "_").replace(";", "_")
            folder = root / "ADNI" / subject / named / f"{year}-{month:02}-{day:02}_08_16_44.0" / f"I{image}"
            stem = f"ADNI_{subject}_MR_{named}_Br_20070219173850420_S{21856 + number}_I{image}"
            # Illness shows more than in people, so that a handful of visits is enough to learn it.
            head = _head(rng, age=20 + 22 * (number % 3) + 0.2 * years, sex=sex, ill=group == "AD")
            _save(folder / f"{stem}.nii", head)
            _text(root / "ADNI" / f"{stem}.xml", "<?xml version='1.0'?>\n")
    rows.sort(key=lambda row: str(row[0]))
    _csv(root / "ADNI1_Complete_1Yr_1.5T_3_28_2011.csv", [header, *rows], mark=True, quoted=True)
    return root


# ---------------------------------------------------------------- pictures


def kaggle_classes(root: Path, seed: int = 0) -> Path:
    """One folder a class, pictures numbered anew in each: 40 of 3 classes, 18 to 10 each, in colour.

    Held against "Flowers Recognition" (flowers/daisy/*.jpg ...). Odd: endings in mixed case, .DS_Store and Thumbs.db,
    a README, a text file among the pictures.
    """
    rng = np.random.default_rng([seed, 6])
    for code, (name, count) in enumerate({"daisy": 18, "rose": 12, "sunflower": 10}.items()):
        for number in range(count):
            ending = (".jpg", ".JPG", ".jpeg", ".png")[number % 4]
            _picture(root / name / f"{number + 1}{ending}", rng, code, colour=True)
    _left_by_systems(root, root / "daisy")
    _text(root / "README.md", "# Flowers\n")
    _text(root / "rose/licence.txt", "CC0\n")
    return root


def kaggle_split(root: Path, seed: int = 0) -> Path:
    """Folders train, val and test with one folder a class below each: 40 pictures of 2 classes.

    Held against "Chest X-Ray Images (Pneumonia)": train 24, val 4, test 12, grey JPEG files, several of one person
    (person7_bacteria_24.jpeg). Odd: classes in capitals, .DS_Store everywhere, `val` has two of each class.
    """
    rng = np.random.default_rng([seed, 7])
    person = 0
    for side, count in {"train": 12, "val": 2, "test": 6}.items():
        for code, name in enumerate(("NORMAL", "PNEUMONIA")):
            for number in range(count):
                person += number % 2 == 0
                stem = f"IM-{person:04}-{number:04}" if name == "NORMAL" else f"person{person}_bacteria_{number}"
                _picture(root / side / name / f"{stem}.jpeg", rng, code)
            _left_by_systems(root / side / name)
        _left_by_systems(root / side)
    return root


def kaggle_table(root: Path, seed: int = 0) -> Path:
    """Flat folders train and test, and train.csv that labels the first by name: 32 labelled pictures, 8 without.

    Held against competitions such as "APTOS 2019 Blindness Detection": train.csv with `id_code,diagnosis`, names
    without ending, test.csv with names alone, sample_submission.csv. Odd: a byte-order mark, classes as numbers, one
    line of which the picture is missing.
    """
    rng = np.random.default_rng([seed, 8])
    labelled, unlabelled = [["id_code", "diagnosis"]], [["id_code"]]
    for number in range(40):
        name, code = f"{int(rng.integers(16**8)):08x}{number:04x}", number % 2
        side = "train" if number < 32 else "test"
        _picture(root / side / f"{name}.png", rng, code, colour=True)
        if number < 32:
            labelled.append([name, str(code)])
        else:
            unlabelled.append([name])
    labelled.append(["0024cdab0c1e", "1"])
    _csv(root / "train.csv", labelled, mark=True)
    _csv(root / "test.csv", unlabelled)
    _csv(root / "sample_submission.csv", [["id_code", "diagnosis"], *([row[0], 0] for row in unlabelled[1:])])
    _left_by_systems(root / "train")
    return root


def kaggle_named(root: Path, seed: int = 0) -> Path:
    """Pictures whose names begin with their class: train/cat.0.jpg, train/dog.0.jpg; 32 of them, 8 of test without.

    Held against "Dogs vs. Cats": 25,000 pictures in train, numbered within each class, and numbers alone in test1.
    """
    rng = np.random.default_rng([seed, 9])
    for number in range(16):
        for code, name in enumerate(("cat", "dog")):
            _picture(root / "train" / f"{name}.{number}.jpg", rng, code, colour=True)
    for number in range(8):
        _picture(root / "test1" / f"{number + 1}.jpg", rng, number % 2, colour=True)
    _csv(root / "sampleSubmission.csv", [["id", "label"], *([number + 1, 0] for number in range(8))])
    return root


def kaggle_nested(root: Path, seed: int = 0) -> Path:
    """An archive unpacked into a folder of its name, as the user finds it: the classes lie two folders down.

    Held against "Chest X-Ray Images" and "Intel Image Classification", whose archives hold a folder that holds the
    folder of classes again. Odd: `__MACOSX` with a shadow of every file, a README at the top.
    """
    rng = np.random.default_rng([seed, 10])
    top = root / "archive/blood_cells"
    for code, name in enumerate(("EOSINOPHIL", "LYMPHOCYTE", "NEUTROPHIL")):
        for number in range(12):
            _picture(top / name / f"_{number}_{int(rng.integers(10_000))}.jpeg", rng, code, colour=True)
            _text(root / f"archive/__MACOSX/blood_cells/{name}/._{number}.jpeg", "\0\5")
    _text(root / "archive/README.txt", "Cells.\n")
    return root


def medmnist(root: Path, seed: int = 0) -> Path:
    """One NumPy archive with the pictures and labels of three sides: 28 + 4 + 8 grey pictures of 28 x 28, 2 classes.

    Held against MedMNIST v2 (breastmnist.npz): arrays train_images, val_images and test_images, uint8 (N, 28, 28), and
    *_labels, uint8 (N, 1). Returns the folder that holds it.
    """
    rng = np.random.default_rng([seed, 11])
    arrays: dict[str, NDArray[np.uint8]] = {}
    for side, count in {"train": 28, "val": 4, "test": 8}.items():
        labels = rng.permutation(np.arange(count) % 2).astype(np.uint8)
        arrays[f"{side}_images"] = np.stack([_bars(rng, int(code), side=28) for code in labels])
        arrays[f"{side}_labels"] = labels[:, None]
    root.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(root / "breastmnist.npz", **arrays)
    return root


LAYOUTS: Mapping[str, Callable[[Path, int], Path]] = MappingProxyType(
    {
        "openneuro": openneuro,
        "fmriprep": fmriprep,
        "cat12": cat12,
        "oasis": oasis,
        "adni": adni,
        "kaggle_classes": kaggle_classes,
        "kaggle_split": kaggle_split,
        "kaggle_table": kaggle_table,
        "kaggle_named": kaggle_named,
        "kaggle_nested": kaggle_nested,
        "medmnist": medmnist,
    }
)
"""Name -> who writes it below a folder. Ten, and `kaggle_nested` beside `kaggle_named`: both shapes are common."""
