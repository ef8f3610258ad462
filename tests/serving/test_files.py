"""From files to predictions: what a model says of a file is what its study said of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from clinic import AFFINE, CLINIC, volume_file, write_clinic
from PIL import Image
from trained_models import Trained

import ctlr
from ctlr.config import load
from ctlr.data.store import ArrayStore
from ctlr.engine import preprocess_all
from ctlr.errors import ConfigError, DataError
from ctlr.plan import make_plan
from ctlr.serving import best_model, predict_files
from ctlr.specs import StoredArrays
from ctlr.steps.evaluate import evaluate
from ctlr.steps.finetune import finetune
from ctlr.training.checkpoint import load_model
from ctlr.workspace import Workspace

# ---------------------------------------------------------------- files


def test_columns_beside_pictures_are_read_as_their_study_read_them(lesions: Trained) -> None:
    said, pseudonym = lesions.predicted(), lesions.workspace.pseudonym
    files = [file for file in sorted(lesions.data.glob("*/*.png")) if pseudonym(file.stem) in said]
    assert len(files) > 15
    numbers = [int(file.stem) for file in files]
    columns: dict[str, list[Any]] = {
        "age": [None if number % 7 == 0 else 30 + number for number in numbers],
        "place": [("arm", "leg")[number // 2 % 2] for number in numbers],
    }
    known = [said[pseudonym(file.stem)] for file in files]
    found = predict_files(lesions.folder, files, inputs=columns)
    np.testing.assert_allclose(found, known, rtol=2e-5, atol=2e-6)
    best = ctlr.open(lesions.workspace.root).best()
    np.testing.assert_array_equal(best.predict(files, inputs=columns), found)
    with pytest.raises(
        DataError, match="the model reads 'age', 'place' beside the image; 'age', 'place' are not given"
    ):
        predict_files(lesions.folder, files)
    with pytest.raises(DataError, match="'place' has 1 for 2 images"):
        predict_files(lesions.folder, files[:2], inputs={"age": [50, 60], "place": ["arm"]})


def test_the_model_card_and_the_report_tell_of_the_columns(lesions: Trained) -> None:
    folder = lesions.workspace.root / "reports" / "lesions"
    card = (folder / "model-card.md").read_text()
    assert "**Read beside the image:** age, a number (mean " in card
    assert "place, one of arm, leg; any other, and a missing one, counts as none of them" in card
    page = (folder / "report.html").read_text()
    assert "covariates" in page


def test_the_best_method_of_an_opened_workspace_predicts_likewise(clinic: Trained) -> None:
    best = ctlr.open(clinic.workspace.root).best()
    assert best.model == clinic.folder
    files = sorted(clinic.data.glob("sub-*/anat/*_T1w.nii.gz"))[:3]
    np.testing.assert_array_equal(best.predict(files), predict_files(clinic.folder, files))


def test_volumes_are_predicted_as_their_study_predicted_them(clinic: Trained) -> None:
    clinic.agree(sorted(clinic.data.glob("sub-*/anat/*_T1w.nii.gz")), lambda file: file.name.partition("_")[0])


def test_pictures_are_predicted_as_their_study_predicted_them(pictures: Trained) -> None:
    pictures.agree(sorted(pictures.data.glob("*/*.png")), lambda file: file.stem)


def test_a_model_says_what_stands_between_a_file_and_its_network(clinic: Trained, pictures: Trained) -> None:
    found = load_model(clinic.folder).card.preparation
    assert found is not None
    assert (found.kind, found.orientation, found.channels, found.masks) == ("volume", "RAS", "grey", "all")
    assert (found.preprocess.spacing, found.preprocess.dtype, found.preprocess.shape) == (10, "uint8", (18, 18, 20))
    assert (found.low, found.high, found.units) == (-4, 4, "years")
    assert found.coverage is not None
    # 14 voxels of 12 mm fill 168 of 180 mm, 15 all 180, 16 fill 192 of 200: what fills the box is their product
    assert found.coverage.filled == pytest.approx(168 / 180 * 1 * 192 / 200, abs=0.05)
    assert found.coverage.enlarged == pytest.approx(1.2)
    other = load_model(pictures.folder).card.preparation
    assert other is not None
    assert (other.kind, other.orientation, other.channels, other.masks) == ("picture", "upright", "RGB", "none")
    assert (other.low, other.high, other.units, other.ground) == (0, 1, "", "white")


def test_transparent_pixels_lie_on_what_the_model_was_trained_with(pictures: Trained, tmp_path: Path) -> None:
    layer = Image.new("RGBA", (22, 30), (0, 0, 0, 0))
    layer.paste((90, 90, 90, 255), (0, 0, 22, 7))
    layer.paste((200, 200, 200, 160), (0, 14, 22, 20))
    layer.save(tmp_path / "clear.png")
    for ground in ("white", "black"):
        Image.alpha_composite(Image.new("RGBA", layer.size, ground), layer).convert("RGB").save(
            tmp_path / f"{ground}.png"
        )
    said = {name: predict_files(pictures.folder, [tmp_path / f"{name}.png"]) for name in ("clear", "white", "black")}
    np.testing.assert_array_equal(said["clear"], said["white"])
    assert np.abs(said["white"] - said["black"]).max() > 1e-4
    card = json.loads((pictures.folder / "model.json").read_text())
    assert card["preparation"].pop("ground") == "white"  # as earlier versions, which said nothing of it
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "model.json").write_text(json.dumps(card))
    shutil.copy(pictures.folder / "model.safetensors", tmp_path / "earlier")
    np.testing.assert_array_equal(predict_files(tmp_path / "earlier", [tmp_path / "clear.png"]), said["black"])


def test_the_model_card_tells_how_images_are_prepared(clinic: Trained, pictures: Trained) -> None:
    card = (clinic.workspace.root / "reports" / "clinic" / "model-card.md").read_text()
    assert "axes to RAS, voxels of 10 mm, 18 x 18 x 20 of them around the centre of the field of view" in card
    assert "`normalise: zscore`, image by image, inside a mask of the brain; kept as uint8, from -4 to 4" in card
    assert "**Units of the target:** years" in card
    card = (pictures.workspace.root / "reports" / "pictures" / "model-card.md").read_text()
    assert "the proportions of 24 x 16 (height x width) pixels and resized, channels RGB" in card


def refused(trained: Trained, file: Path, pattern: str, **more: Any) -> None:
    with pytest.raises(DataError, match=pattern) as caught:
        predict_files(trained.folder, [file], **more)
    assert str(caught.value).startswith(str(file))


def test_a_file_of_another_kind_is_refused(clinic: Trained, pictures: Trained, tmp_path: Path) -> None:
    volume, picture = next(clinic.data.glob("sub-*/anat/*_T1w.nii.gz")), next(pictures.data.glob("*/*.png"))
    refused(clinic, picture, "predicts from NIfTI volumes; this is a picture. Name another file")
    refused(pictures, volume, "predicts from pictures; this is a volume")
    refused(clinic, tmp_path / "none.nii", "cannot be read: No such file", masks=[next(volume.parent.glob("*_mask*"))])
    (tmp_path / "note.png").write_text("no picture")
    refused(pictures, tmp_path / "note.png", "a picture .* is needed; this is none")


def rewritten(clinic: Trained, place: Path, affine: Any) -> Path:
    """The first volume and its mask with another affine."""
    first = volume_file(clinic.data, "sub-XYZZY00")
    place.mkdir()
    for file in (first, Path(str(first).replace("_T1w", "_desc-brain_mask"))):
        image = nibabel.load(file)  # type: ignore[attr-defined]
        nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), affine), place / file.name)
    return place / first.name


def test_a_volume_that_is_cut_off_or_does_not_fill_the_box_is_refused(clinic: Trained, tmp_path: Path) -> None:
    small = rewritten(clinic, tmp_path / "small", np.diag([4.0, 4, 4, 1]))
    refused(clinic, small, r"field of view must fill the box of 180 x 180 x 200 mm .* it fills 0.03\d* of it. Check")
    large = rewritten(clinic, tmp_path / "large", np.diag([20.0, 20, 20, 1]))
    refused(clinic, large, r"what it shows must lie inside the box .* \d\d% would be cut off")
    thick = tmp_path / "thick" / "sub-1_T1w.nii.gz"
    thick.parent.mkdir()
    blocks = np.zeros((6, 6, 6), np.float32)
    blocks[2:4, 2:4, 2:4] = [[[80, 90], [100, 110]]] * 2
    for name, voxels in (("T1w", blocks), ("desc-brain_mask", (blocks > 20).astype(np.uint8))):
        nibabel.save(nibabel.Nifti1Image(voxels, np.diag([32.0, 32, 32, 1])), thick.parent / f"sub-1_{name}.nii.gz")
    refused(clinic, thick, r"its voxels must not be much larger than the model's; they are 3.2 times as large")


def test_a_volume_turned_about_is_the_same_volume(clinic: Trained, tmp_path: Path) -> None:
    first = volume_file(clinic.data, "sub-XYZZY00")
    turned = tmp_path / first.name
    mask = Path(str(first).replace("_T1w", "_desc-brain_mask"))
    for file in (first, mask):
        image = nibabel.load(file)  # type: ignore[attr-defined]
        nibabel.save(image.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]])), tmp_path / file.name)
    assert predict_files(clinic.folder, [turned]) == pytest.approx(predict_files(clinic.folder, [first]), rel=1e-4)


def test_a_file_without_the_mask_that_training_had_is_refused(
    clinic: Trained, pictures: Trained, tmp_path: Path
) -> None:
    first = volume_file(clinic.data, "sub-XYZZY00")
    (tmp_path / "bare.nii.gz").write_bytes(first.read_bytes())
    refused(clinic, tmp_path / "bare.nii.gz", "normalised inside a mask of the brain, and this one has none. Put a")
    mask = Path(str(first).replace("_T1w", "_desc-brain_mask"))
    with_mask = predict_files(clinic.folder, [tmp_path / "bare.nii.gz"], masks=[mask])
    assert with_mask == pytest.approx(predict_files(clinic.folder, [first]))
    picture = next(pictures.data.glob("*/*.png"))
    refused(pictures, picture, "trained without masks; got .*Leave `masks` out", masks=[mask])
    with pytest.raises(DataError, match="one entry a file, or None: 1 files, 2 masks"):
        predict_files(clinic.folder, [first], masks=[mask, mask])


def test_every_file_that_does_not_fit_is_named(pictures: Trained, tmp_path: Path) -> None:
    names = [tmp_path / f"{number}.png" for number in range(12)]
    with pytest.raises(DataError) as caught:
        predict_files(pictures.folder, names)
    assert str(caught.value).count("cannot be read") == 10
    assert str(caught.value).endswith("and 2 more")


def test_no_files_are_no_predictions(clinic: Trained, pictures: Trained) -> None:
    assert predict_files(clinic.folder, []).shape == (0,)
    assert predict_files(pictures.folder, []).shape == (0, 2)


def test_without_normalisation_a_file_must_have_the_values_of_training(tmp_path: Path) -> None:
    root = write_clinic(tmp_path / "clinic", people=20)
    (tmp_path / "raw.yaml").write_text(
        CLINIC.replace("{spacing: 12, ", "{normalise: none, spacing: 12, ").replace("[4, 6]", "[4]")
    )
    plan, workspace = make_plan(load(tmp_path / "raw.yaml")), Workspace(tmp_path / "workspace")
    arrays = preprocess_all(plan.datasets, workspace, workers=1, on_event=lambda event: None)
    study = next(study for study in plan.studies if study.method.label == "scratch")
    finetune(study, arrays, workspace)
    folder = workspace.root / evaluate(study, arrays, workspace).path
    first = volume_file(root, "sub-XYZZY00")
    assert predict_files(folder, [first]).shape == (1,)
    image = nibabel.load(first)  # type: ignore[attr-defined]
    nibabel.save(nibabel.Nifti1Image(image.get_fdata() * 20, AFFINE), tmp_path / "bright.nii.gz")
    with pytest.raises(DataError, match=r"bright.nii.gz: the model was trained on values from .* not normalised; its"):
        predict_files(folder, [tmp_path / "bright.nii.gz"])


# ---------------------------------------------------------------- arrays


def test_arrays_that_preprocessing_does_not_give_are_refused(clinic: Trained, pictures: Trained) -> None:
    model, rng = load_model(clinic.folder), np.random.default_rng(0)
    good = np.clip(rng.standard_normal((2, 1, 18, 18, 20)), -4, 4).astype(np.float32)
    assert model.predict(good).shape == (2,)
    for bad, pattern in (
        (good[0], r"shape \(N, 1, 18, 18, 20\); got \(1, 18, 18, 20\). Put one image as images\[None\]"),
        (good.repeat(3, 1), r"shape \(N, 1, 18, 18, 20\); got \(2, 3, 18, 18, 20\). Prepare"),
        (good[:, :, :9], r"got \(2, 1, 9, 18, 20\)"),
        (good * 100, r"image 0: `normalise: zscore` kept as uint8 gives values from -4 to 4; its values run"),
        (np.concatenate([good[:1], abs(good[1:])]), r"image 1: `normalise: zscore` gives values on both sides of 0"),
        (good + np.float32(np.nan), "every value must be finite"),
    ):
        with pytest.raises(DataError, match=pattern):
            model.predict(bad)
    shades = rng.random((2, 3, 24, 16), np.float32)
    other = load_model(pictures.folder)
    assert other.predict(shades).shape == (2, 2)
    with pytest.raises(DataError, match="image 0: `normalise: percentile` kept as uint8 gives values from 0 to 1"):
        other.predict(255 * shades)
    with pytest.raises(DataError, match="`normalise: percentile` reaches from 0 to 1; its values run from"):
        other.predict(shades / 2)


def test_every_stored_image_fits_its_own_model(clinic: Trained, pictures: Trained) -> None:
    for trained in (clinic, pictures):
        (place,) = (trained.workspace.root / "arrays").iterdir()
        stored = StoredArrays.model_validate_json((place / "stored.json").read_bytes())
        images = ArrayStore(stored, trained.workspace).read(np.arange(stored.rows))
        assert len(load_model(trained.folder).predict(images)) == stored.rows


# ---------------------------------------------------------------- older models


def test_an_older_model_takes_arrays_and_says_why_it_takes_no_files(clinic: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "older"
    folder.mkdir()
    card = json.loads((clinic.folder / "model.json").read_text())
    del card["preparation"]
    (folder / "model.json").write_text(json.dumps(card))
    (folder / "model.safetensors").write_bytes((clinic.folder / "model.safetensors").read_bytes())
    images = np.random.default_rng(0).random((2, 1, 18, 18, 20), np.float32)
    assert load_model(folder).predict(images).shape == (2,)
    with pytest.raises(DataError, match=r"older/model.json does not say how files are prepared: .* Run its benchmark"):
        predict_files(folder, [volume_file(clinic.data, "sub-XYZZY00")])


# ---------------------------------------------------------------- the winner


def test_the_best_model_is_the_one_that_the_model_card_names(clinic: Trained) -> None:
    card = (clinic.workspace.root / "reports" / "clinic" / "model-card.md").read_text()
    assert f"`{clinic.folder.relative_to(clinic.workspace.root)}/model.safetensors`" in card
    models = json.loads((clinic.workspace.root / "reports" / "clinic" / "models.json").read_text())
    assert {model["method"]: model["n_train"] for model in models} == {"scratch": 6, "supervised": 6}
    assert sum(model["best"] for model in models) == 1
    for model in models:
        named = best_model(clinic.workspace.root, "clinic", method=model["method"], target="clinic.age")
        assert named == clinic.workspace.root / model["path"]


def test_the_best_model_of_several_seeds_is_the_best_by_validation(pictures: Trained) -> None:
    models = json.loads((pictures.workspace.root / "reports" / "pictures" / "models.json").read_text())
    (model,) = [model for model in models if model["method"] == "scratch"]
    assert model["best"]
    scores = {}
    for file in (pictures.workspace.root / "studies").glob("*/result.json"):
        result = json.loads(file.read_text())
        if result["study"]["method"]["method"] == "scratch":
            scores[result["path"]] = result["scores"]["validation"]["balanced_accuracy"]
    assert len(scores) == 2
    assert model["validation"] == scores[model["path"]] == max(scores.values())


def test_a_model_that_is_not_there_is_named_with_those_that_are(clinic: Trained) -> None:
    with pytest.raises(ConfigError, match=r"reports/none/models.json does not exist. Write the report with"):
        best_model(clinic.workspace.root, "none")
    with pytest.raises(ConfigError, match=r"name one model of clinic; 0 fit. There are: method scratch, target clinic"):
        best_model(clinic.workspace.root, "clinic", method="vat")
