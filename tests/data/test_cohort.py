"""The synthetic cohort: who its subjects are, what their images show, what is written."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ctlr.data.kinds.cohort.growing import ORIENTATIONS, SITES, Cohort, draw_subject, sex_loadings, write_cohort
from ctlr.data.kinds.cohort.synthesis import Nuisance, Renderer, Traits, bspline_weights
from ctlr.data.kinds.cohort.template import load_template, notice
from ctlr.errors import DataError
from ctlr.specs import CohortSpec

AVERAGE = Traits(*[0.0] * len(Traits._fields))
SMALL = CohortSpec(subjects=7, seed=3, spacing=8.0)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cohort") / "bids"
    write_cohort(SMALL, out)
    return out


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(spacing=4.0)


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def plain(renderer: Renderer, noise: float = 0.0, **traits: float) -> NDArray[np.float32]:
    """The brain with these traits, imaged without any nuisance."""
    still = Nuisance(
        rotation=np.zeros(3), shift=np.zeros(3), stretch=0.0, coarse_warp=torch.zeros(3, 7, 7, 7),
        fine_warp=torch.zeros(3, 13, 13, 13), bias=torch.zeros(1, 5, 5, 5), tissue=np.zeros(3), gain=0.0,
    )  # fmt: skip
    return renderer.render(AVERAGE._replace(**traits), still, noise=noise, rng=np.random.default_rng(0))


# ---------------------------------------------------------------- subjects


def test_a_subject_does_not_depend_on_how_many_there_are() -> None:
    few, many = Cohort(SMALL), Cohort(SMALL.model_copy(update={"subjects": 40}))
    assert few.subjects == many.subjects[:7]
    np.testing.assert_array_equal(few.volume(5), many.volume(5))


def test_a_volume_does_not_depend_on_its_batch() -> None:
    cohort = Cohort(SMALL)
    np.testing.assert_array_equal(cohort.volumes([6, 0, 2])[2], cohort.volumes([2])[0])
    assert cohort.volumes([6, 0, 2]).shape == (3, 24, 24, 24)


def test_a_volume_does_not_depend_on_the_number_of_threads() -> None:
    cohort, before = Cohort(SMALL), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = cohort.volume(4)
        torch.set_num_threads(2)
        np.testing.assert_array_equal(one, cohort.volume(4))
    finally:
        torch.set_num_threads(before)


def test_subjects_differ_by_index_and_by_seed() -> None:
    first, second = Cohort(SMALL), Cohort(SMALL.model_copy(update={"seed": 4}))
    assert len({subject.traits for subject in first.subjects + second.subjects}) == 14
    assert not np.array_equal(first.volume(0), first.volume(1))
    assert not np.array_equal(first.volume(0), second.volume(0))


def test_knobs_change_images_and_not_who_the_subjects_are() -> None:
    gentle = CohortSpec(subjects=20, effect=1.0, overlap=0.0)
    for index in range(20):
        strong = draw_subject(gentle.model_copy(update={"effect": 3.0, "noise": 0.2}), index)
        mild = draw_subject(gentle, index)
        assert (strong.age, strong.sex, strong.site) == (mild.age, mild.sex, mild.site)
        assert strong.traits.head_size == mild.traits.head_size
        assert strong.traits.ventricles == pytest.approx(3 * mild.traits.ventricles)


def test_ages_are_uniform_from_20_to_80_and_independent_of_sex_and_site() -> None:
    subjects = [draw_subject(CohortSpec(), index) for index in range(3000)]
    ages = np.array([subject.age for subject in subjects])
    men = np.array([subject.sex == "M" for subject in subjects])
    assert ages.min() >= 20
    assert ages.max() <= 80
    assert ages.mean() == pytest.approx(50, abs=1.0)
    assert ages.std() == pytest.approx(math.sqrt(300), abs=0.5)
    assert men.mean() == pytest.approx(0.5, abs=0.03)
    for group in (men, *(np.array([subject.site == site for subject in subjects]) for site in SITES)):
        assert ages[group].mean() == pytest.approx(50, abs=2.0)
        assert group.sum() > 900


@settings(max_examples=25, deadline=None)
@given(overlap=st.floats(-1, 1), gain=st.floats(0, 3))
def test_overlap_is_the_cosine_between_what_sex_and_what_age_do(overlap: float, gain: float) -> None:
    sex, age = sex_loadings(overlap, gain), np.array([0.70, 0.65, 0.45, 0.55, 0.50, 0.60, 0.0, 0.55, 0.40])
    head = Traits._fields.index("head_size")
    assert sex[head] == pytest.approx(0.8 * gain)
    shape = np.delete(sex, head)
    assert np.linalg.norm(shape) == pytest.approx(1.1)
    assert shape @ np.delete(age, head) / np.linalg.norm(shape) / np.linalg.norm(age) == pytest.approx(
        overlap, abs=1e-9
    )


def test_traits_follow_age_and_sex_as_the_knobs_say() -> None:
    spec = CohortSpec(effect=2.0, overlap=0.5, head_gain=1.0)
    subjects = [draw_subject(spec, index) for index in range(3000)]
    traits = np.array([subject.traits for subject in subjects])
    standard = (np.array([subject.age for subject in subjects]) - 50) / math.sqrt(300)
    sex = np.array([1 if subject.sex == "M" else -1 for subject in subjects])
    slopes, *_ = np.linalg.lstsq(np.stack([standard, sex, np.ones(3000)], axis=1), traits, rcond=None)
    by_age = dict(zip(Traits._fields, slopes[0], strict=True))
    by_sex = dict(zip(Traits._fields, slopes[1], strict=True))
    assert by_age["ventricles"] == pytest.approx(2.0 * 0.70, abs=0.1)
    assert by_age["head_size"] == pytest.approx(0.0, abs=0.05)
    assert by_sex["head_size"] == pytest.approx(0.8, abs=0.05)


# ---------------------------------------------------------------- images


@pytest.mark.parametrize(("spacing", "side"), [(4.0, 48), (6.0, 32), (12.0, 16)])
def test_a_volume_is_a_cube_of_192_mm_round_the_brain(spacing: float, side: int) -> None:
    renderer = Renderer(spacing)
    assert renderer.shape == (side, side, side)
    middle = renderer.affine @ [*[(side - 1) / 2] * 3, 1]
    np.testing.assert_allclose(middle, [0, -16, 8, 1])
    assert plain(renderer).shape == renderer.shape


def test_the_brain_lies_inside_the_field_of_view(renderer: Renderer) -> None:
    image = plain(renderer)
    rim = np.ones(image.shape, dtype=bool)
    rim[1:-1, 1:-1, 1:-1] = False
    assert image[rim].max() == 0
    assert 1.1 < (image > 0.3).sum() * 0.4**3 / 1000 < 1.9  # litres


def test_one_unit_of_head_size_is_three_per_cent_of_length(renderer: Renderer) -> None:
    ratio = plain(renderer, head_size=1.0).sum() / plain(renderer).sum()
    assert ratio == pytest.approx(math.exp(3 * 0.03), abs=0.004)


def test_noiseless_air_is_black_and_noisy_air_is_rayleigh(renderer: Renderer) -> None:
    corner = (slice(0, 48), slice(0, 48), slice(0, 3))
    assert plain(renderer)[corner].max() == 0
    assert plain(renderer, noise=0.05)[corner].mean() == pytest.approx(0.05 * math.sqrt(math.pi / 2), rel=0.02)


def test_ventricles_grow_with_their_trait(renderer: Renderer) -> None:
    inner = (slice(18, 30), slice(17, 35), slice(20, 30))  # 48 x 72 x 40 mm round the lateral ventricles
    fluid = [int((plain(renderer, ventricles=amount)[inner] < 0.5).sum()) for amount in (-1.5, 0.0, 1.5, 3.0)]
    assert fluid == sorted(set(fluid))
    assert fluid[-1] > 2 * fluid[0]


def test_thinning_takes_intensity_from_the_cortex_alone(renderer: Renderer) -> None:
    image = plain(renderer)
    change = plain(renderer, thinning=2.0) - image
    assert change.max() <= 1e-6
    assert change.min() < -0.02
    assert np.abs(change[image > 0.83]).mean() < 1e-3  # white matter


def test_frontal_thinning_spares_the_back_of_the_head(renderer: Renderer) -> None:
    change = plain(renderer, frontal_thinning=2.0) - plain(renderer)
    assert change.min() < -0.02
    assert np.abs(change[:, :22]).max() < 1e-6


def test_contrast_loss_brings_grey_and_white_matter_together(renderer: Renderer) -> None:
    template = load_template()
    young, old = plain(renderer), plain(renderer, contrast_loss=4.0)
    brain = young > 0.3
    bright, dull = young[brain] > 0.8, young[brain] < 0.65
    assert template.white.max() == 1
    assert (old - young)[brain][bright].mean() < -0.03
    assert (old - young)[brain][dull].mean() > 0.0


def test_without_effect_nuisance_and_noise_only_head_size_is_left() -> None:
    cohort = Cohort(CohortSpec(subjects=3, spacing=8.0, effect=0.0, nuisance=0.0, noise=0.0))
    traits = np.array([subject.traits for subject in cohort.subjects])
    head = Traits._fields.index("head_size")
    assert np.abs(np.delete(traits, head, axis=1)).max() == 0
    assert len(set(traits[:, head])) == 3


def test_random_fields_have_one_standard_deviation_everywhere() -> None:
    weights = bspline_weights(48, 7)
    np.testing.assert_allclose(weights.norm(dim=1), np.ones(48), rtol=1e-6)
    assert int((weights > 0).sum(1).max()) == 4
    # A cubic B-spline at a control point: 1/6, 4/6, 1/6.
    np.testing.assert_allclose(weights[0, :4], np.array([1, 4, 1, 0]) / math.sqrt(18), atol=1e-6)


def test_the_template_is_probabilities_and_ends_in_zeros() -> None:
    template = load_template()
    tissue = template.grey + template.white + template.csf
    assert tissue.max() <= 1 + 3 / 255
    for volume in (template.t1, tissue, template.cortex):
        assert volume.min() == 0
        assert max(np.take(volume, edge, axis).max() for axis in range(3) for edge in (0, -1)) == 0
    lengths = np.linalg.norm(template.fields, axis=1).max(axis=(1, 2, 3))
    assert (lengths > 0.9).all()
    assert (lengths < 1.01).all()


def test_the_template_comes_from_the_maps_that_nilearn_ships() -> None:
    pytest.importorskip("nilearn", reason="needs nilearn's copy of MNI152")
    from ctlr.data.kinds.cohort.template.derive import derive

    stored, made = load_template(), derive()
    np.testing.assert_allclose(made["maps"][0] / 255, stored.t1, atol=1.01 / 255)
    np.testing.assert_allclose(made["fields"] / 127, stored.fields, atol=1.01 / 127)
    np.testing.assert_array_equal(made["origin"], stored.origin)


# ---------------------------------------------------------------- files


def test_writing_twice_gives_the_same_bytes_for_any_number_of_workers(written: Path, tmp_path: Path) -> None:
    write_cohort(SMALL, tmp_path / "again", workers=3)
    assert content(tmp_path / "again") == content(written)


def test_files_follow_bids(written: Path) -> None:
    assert sorted(content(written)) == [
        "README", "dataset_description.json", "participants.json", "participants.tsv",
        *(f"sub-{number:04d}/anat/sub-{number:04d}_T1w.nii.gz" for number in range(1, 8)),
    ]  # fmt: skip
    description = json.loads((written / "dataset_description.json").read_text())
    assert description["DatasetType"] == "raw"
    assert description["BIDSVersion"] == "1.10.0"
    assert notice() in (written / "README").read_text()


def test_participants_are_listed_with_age_sex_and_site(written: Path) -> None:
    header, *rows = (written / "participants.tsv").read_text().splitlines()
    assert header.split("\t") == ["participant_id", "age", "sex", "site"]
    columns = json.loads((written / "participants.json").read_text())
    assert list(columns) == ["age", "sex", "site"]
    for row, subject in zip(rows, Cohort(SMALL).subjects, strict=True):
        name, age, sex, site = row.split("\t")
        assert (name, float(age), sex, site) == (subject.id, subject.age, subject.sex, subject.site.name)
        assert sex in columns["sex"]["Levels"]
        assert site in columns["site"]["Levels"]


@pytest.mark.parametrize("index", range(6))
def test_a_stored_volume_turned_to_ras_is_the_volume_made(written: Path, index: int) -> None:
    cohort, name = Cohort(SMALL), f"sub-{index + 1:04d}"
    image = nib.load(written / name / "anat" / f"{name}_T1w.nii.gz")
    assert "".join(nib.aff2axcodes(image.affine)) == ORIENTATIONS[index % 5]
    canonical = nib.as_closest_canonical(image)
    np.testing.assert_allclose(canonical.affine, cohort.affine, atol=1e-4)
    np.testing.assert_allclose(canonical.get_fdata(), 1000 * cohort.volume(index), atol=0.51)


def test_headers_and_gzip_tell_nothing_but_the_image(written: Path) -> None:
    for path in written.rglob("*.nii.gz"):
        packed = path.read_bytes()
        assert packed[3] == 0, "gzip stores a name, a comment or extra fields"
        assert packed[4:8] == bytes(4), "gzip stores a time"
        header = nib.Nifti1Image.from_bytes(gzip.decompress(packed)).header
        assert {header[field].item() for field in ("descrip", "aux_file", "db_name", "intent_name")} == {b""}
        assert not header.extensions


def test_progress_counts_every_subject(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    write_cohort(SMALL, tmp_path, workers=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(number, 7) for number in range(1, 8)]


def test_an_interrupted_write_has_no_table_and_no_description(tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cohort(SMALL, tmp_path, progress=interrupt)
    names = content(tmp_path)
    assert len(names) >= 3
    assert all(name.endswith("_T1w.nii.gz") for name in names)


def test_a_folder_that_holds_things_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("keep me")
    with pytest.raises(DataError, match=r"new or empty folder; .*holds notes\.txt"):
        write_cohort(SMALL, tmp_path)
    with pytest.raises(DataError, match="is a file, or lies below one"):
        write_cohort(SMALL, tmp_path / "notes.txt")
    with pytest.raises(DataError, match="is a file, or lies below one"):
        write_cohort(SMALL, tmp_path / "notes.txt" / "below")
    assert content(tmp_path) == {"notes.txt": b"keep me"}
