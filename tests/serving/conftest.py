import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from clinic import AFFINE, CLINIC, write_clinic
from PIL import Image
from trained_models import PICTURES, Trained, train, write_shapes


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Volumes with masks, of 12 mm, brought to 10 mm and kept in bytes."""
    folder = tmp_path_factory.mktemp("clinic")
    write_clinic(folder / "clinic")
    for file in (folder / "clinic").glob("sub-*/anat/*_T1w.nii.gz"):
        voxels = nibabel.load(file).get_fdata()  # type: ignore[attr-defined]
        mask = nibabel.Nifti1Image((voxels > 20).astype(np.uint8), AFFINE)
        nibabel.save(mask, str(file).replace("_T1w", "_desc-brain_mask"))
    (folder / "clinic" / "participants.json").write_text(json.dumps({"age": {"Units": "years"}}))
    text = CLINIC.replace("{spacing: 12, shape: [16, 16, 16]}", "{spacing: 10, shape: [18, 18, 20], dtype: uint8}")
    (folder / "clinic.yaml").write_text(text)
    return train(folder / "clinic.yaml")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Grey pictures in three channels."""
    folder = tmp_path_factory.mktemp("pictures")
    write_shapes(folder / "shapes", stem="{name}{number}")
    (folder / "pictures.yaml").write_text(PICTURES)
    return train(folder / "pictures.yaml")


@pytest.fixture(scope="session")
def lesions(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Grey pictures with a table beside them, whose columns a task reads too; the age of some is not known."""
    return _with_table(tmp_path_factory.mktemp("lesions"), "inputs: [age, place]", "scratch: {}")


@pytest.fixture(scope="session")
def several(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The same, of which three questions are asked."""
    also = "inputs: [age], also: [{target: size, kind: regression}, {target: place, kind: classification}]"
    return _with_table(tmp_path_factory.mktemp("several"), also, "scratch: {}, forest: {method: forest, trees: 5}")


def _with_table(folder: Path, task: str, methods: str) -> Trained:
    rng = np.random.default_rng(0)
    lines = ["file,age,place,size"]
    (folder / "shapes").mkdir()
    for number in range(40):
        name = ("bars", "dots")[number % 2]
        pixels = rng.integers(0, 90, (30, 22))
        pixels[:: 3 + number % 2 * 4] += 120
        (folder / "shapes" / name).mkdir(exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "shapes" / name / f"{number}.png")
        age, place = "" if number % 7 == 0 else 30 + number, ("arm", "leg")[number // 2 % 2]
        lines.append(f"{name}/{number}.png,{age},{place},{number % 9}")
    (folder / "shapes" / "list.csv").write_text("\n".join(lines) + "\n")
    text = PICTURES.replace("name: pictures", f"name: {folder.name.rstrip('0')}").replace("seeds: [0, 1]", "seeds: [0]")
    text = text.replace("root: shapes,", "root: shapes, table: list.csv,").replace("scratch: {}", methods)
    text = text.replace("sample_sizes: [6]", "sample_sizes: [12]")
    text = text.replace("kind: classification}", f"kind: classification, {task}}}")
    (folder / "lesions.yaml").write_text(text)
    return train(folder / "lesions.yaml")
