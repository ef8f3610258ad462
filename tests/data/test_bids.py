from __future__ import annotations

import contextlib
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import layouts
import pytest

from ctlr.data.kinds.bids import index
from ctlr.data.kinds.scans import mask_beside
from ctlr.errors import DataError
from ctlr.specs import BidsSpec

TWO = "participant_id\tage\nsub-01\t20\n02\tn/a\n"
Write = Callable[..., Path]


def _files(root: Path, **options: object) -> list[str]:
    return [image.file for image in index(BidsSpec(root=str(root), **options)).images]


def test_images_come_with_the_raw_cells_of_their_subject(bids: Write) -> None:
    root = bids(TWO, ["sub-01/anat/sub-01_T1w.nii.gz", "sub-02/anat/sub-02_run-1_T1w.nii"])
    first, second = index(BidsSpec(root=str(root))).images
    assert (first.subject, first.file, first.columns) == ("sub-01", "sub-01/anat/sub-01_T1w.nii.gz", {"age": "20"})
    assert (second.subject, second.session, second.columns) == ("sub-02", "", {"age": "n/a"})


def test_ids_are_text_with_or_without_their_prefix(bids: Write) -> None:
    root = bids('participant_id\n"0012"\n', ["sub-0012/anat/sub-0012_T1w.nii"])
    assert _files(root) == ["sub-0012/anat/sub-0012_T1w.nii"]
    root = bids("participant_id\n12\n", ["sub-0012/anat/sub-0012_T1w.nii"], "other")
    assert tuple(map(str, index(BidsSpec(root=str(root))).faults)) == (
        "sub-0012: an image needs a line in participants.tsv. Add it, or remove the folder.",
        "sub-12: a line of participants.tsv needs an image sub-*/[ses-*/]anat/*_T1w.nii[.gz] (no filter). Add it, "
        "remove the line, or mind that ids are text: 12 is not 0012.",
    )


def test_one_subject_on_two_lines_is_refused(bids: Write) -> None:
    root = bids("participant_id\n01\nsub-01\n", ["sub-01/anat/sub-01_T1w.nii"])
    with pytest.raises(DataError, match="'01' and 'sub-01' are the same subject"):
        index(BidsSpec(root=str(root)))


def test_sessions_add_to_the_cells_of_their_subject(bids: Write) -> None:
    files = [f"sub-01/ses-{ses}/anat/sub-01_ses-{ses}_T1w.nii.gz" for ses in "ab"]
    root = bids("participant_id\tage\tsex\n01\t20\tF\n", files)
    (root / "sub-01/sub-01_sessions.tsv").write_text("session_id\tage\nses-b\t25\n")
    assert [(image.session, image.columns) for image in index(BidsSpec(root=str(root))).images] == [
        ("a", {"age": "20", "sex": "F"}),
        ("b", {"age": "25", "sex": "F"}),
    ]
    assert _files(root, session="b") == files[1:]
    assert "(session: c)" in index(BidsSpec(root=str(root), session="c")).faults[0].reason


def test_a_derivative_may_leave_the_sessions_to_the_raw_dataset(bids: Write, save: Write) -> None:
    root = bids("participant_id\tage\n01\t60.8\n", [])
    (root / "sub-01").mkdir()
    (root / "sub-01/sub-01_sessions.tsv").write_text("session_id\tage\nses-M000\t60.8\nses-M120\t70.8\n")
    for derivative in ("derivatives/fmriprep", "derivatives/fmriprep/derivatives/masked"):
        for session in ("M000", "M120"):
            save(root / derivative / f"sub-01/ses-{session}/anat/sub-01_ses-{session}_desc-preproc_T1w.nii.gz")
        listing = index(BidsSpec(root=str(root / derivative)))
        assert [image.columns["age"] for image in listing.images] == ["60.8", "70.8"]
        assert listing.faults == ()
    own = root / "derivatives/fmriprep/sub-01/sub-01_sessions.tsv"
    own.write_text("session_id\tage\nses-M000\t61\n")
    assert [image.columns["age"] for image in index(BidsSpec(root=str(own.parents[1]))).images] == ["61", "70.8"]
    own.write_text("session_id\tquality\nses-M000\tgood\nses-M120\tpoor\n")
    assert [image.columns for image in index(BidsSpec(root=str(own.parents[1]))).images] == [
        {"age": "60.8", "quality": "good"},
        {"age": "70.8", "quality": "poor"},
    ]


def test_a_derivative_is_known_by_its_path_and_may_lie_beside_the_raw_dataset(tmp_path: Path, save: Write) -> None:
    files = [f"sub-01/ses-{session}/anat/sub-01_ses-{session}_T1w.nii.gz" for session in ("M000", "M120")]
    for file in files:
        save(tmp_path / "scratch/fmriprep" / file)
    derivative = tmp_path / "study/derivatives/fmriprep"
    derivative.parent.mkdir(parents=True)
    derivative.symlink_to(tmp_path / "scratch/fmriprep")
    (tmp_path / "scratch/fmriprep/participants.tsv").write_text("participant_id\tage\n01\t60.8\n")
    visits = tmp_path / "study/rawdata/sub-01/sub-01_sessions.tsv"
    visits.parent.mkdir(parents=True)
    visits.write_text("session_id\tage\nses-M000\t60.8\nses-M120\t70.8\n")
    assert [image.columns["age"] for image in index(BidsSpec(root=str(derivative))).images] == ["60.8", "70.8"]


def test_an_average_over_sessions_is_described_by_its_subject(bids: Write, save: Write) -> None:
    root = bids("participant_id\tage\n01\t60.8\n", [])
    (root / "sub-01").mkdir()
    (root / "sub-01/sub-01_sessions.tsv").write_text("session_id\tage\nses-M000\t60.8\nses-M120\t70.8\n")
    save(root / "derivatives/smriprep/sub-01/anat/sub-01_desc-preproc_T1w.nii.gz")
    listing = index(BidsSpec(root=str(root / "derivatives/smriprep")))
    assert ([image.columns for image in listing.images], listing.faults) == ([{"age": "60.8"}], ())


@pytest.mark.parametrize(
    ("row", "folder"), [("ses-M12", "M012"), ("M012", "M12"), ("ses-1", "01"), ("ses-m12", "M12"), ("ses-01", "")]
)
def test_a_session_that_the_table_calls_otherwise_is_a_fault(bids: Write, row: str, folder: str) -> None:
    file = f"sub-01/ses-{folder}/anat/sub-01_ses-{folder}_T1w.nii.gz" if folder else "sub-01/anat/sub-01_T1w.nii.gz"
    root = bids("participant_id\tage\n01\t60.8\n", [file])
    (root / "sub-01/sub-01_sessions.tsv").write_text(f"session_id\tage\n{row}\t61.8\n")
    listing = index(BidsSpec(root=str(root)))
    assert listing.images == ()
    assert tuple(map(str, listing.faults)) == (
        f"sub-01/sub-01_sessions.tsv, session {folder!r} of {file}: a session must have one label in the table and in "
        "its folder; this image has no line there, and a line has no folder. Correct session_id, or add a line.",
    )


def test_a_visit_without_a_folder_is_no_fault(bids: Write) -> None:
    root = bids("participant_id\tage\n01\t60\n", ["sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz"])
    (root / "sub-01/sub-01_sessions.tsv").write_text("session_id\tage\nses-a\t61\nses-b\t62\n")
    listing = index(BidsSpec(root=str(root)))
    assert ([image.columns["age"] for image in listing.images], listing.faults) == (["61"], ())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("session_id\tage\nses-01\t20\n01\t30\n", "two lines are the same session, with and without `ses-`. Keep one."),
        ("session_id\tage\nses-01\t20\nses-01\t30\n", "'session_id' must be there and unique."),
        ("visit\tage\nses-01\t20\n", "a column 'session_id' is needed."),
        (
            "session_id\tAge\nses-01\t21\n",
            "a column must have one name in all tables;",
        ),
        ("session_id\tage\nses-01\n", "every line needs as many cells as the header"),
    ],
)
def test_a_bad_table_of_sessions_costs_its_subject_alone(bids: Write, table: str, message: str) -> None:
    files = [f"sub-{subject}/ses-01/anat/sub-{subject}_ses-01_T1w.nii.gz" for subject in ("01", "02")]
    root = bids("participant_id\tage\n01\t20\n02\t30\n", files)
    (root / "sub-01/sub-01_sessions.tsv").write_text(table)
    listing = index(BidsSpec(root=str(root)))
    assert [image.file for image in listing.images] == files[1:]
    assert len(listing.faults) == 1
    assert listing.faults[0].place.startswith("sub-01/sub-01_sessions.tsv")
    assert listing.faults[0].reason.startswith(message)


def test_filters_choose_the_derivative_and_the_plainest_is_the_default(bids: Write) -> None:
    native = "sub-01/anat/sub-01_desc-preproc_T1w.nii.gz"
    template = "sub-01/anat/sub-01_space-MNI_desc-preproc_T1w.nii.gz"
    brain = "sub-01/anat/sub-01_desc-brain_T1w.nii.gz"
    root = bids("participant_id\n01\n", [native, template])
    assert _files(root) == [native]
    assert _files(root, space="MNI") == [template]
    root = bids("participant_id\n01\n", [native, brain])
    assert _files(root, desc="brain") == [brain]
    listing = index(BidsSpec(root=str(root)))
    assert listing.images == ()
    assert len(listing.faults) == 1
    assert listing.faults[0].place.endswith("sub-01_desc-brain_T1w.nii.gz and sub-01_desc-preproc_T1w.nii.gz")
    assert "these are several" in listing.faults[0].reason


@pytest.mark.parametrize("sampling", ["space-MNI_res-2", "space-MNI_cohort-3_res-1", "space-fsnative_den-41k", "res-2"])
def test_one_scan_in_two_samplings_is_one_image(bids: Write, sampling: str) -> None:
    native, sampled = (f"sub-10/anat/sub-10_{name}desc-preproc_T1w.nii.gz" for name in ("", f"{sampling}_"))
    root = bids("participant_id\n10\n", [native, sampled])
    listing = index(BidsSpec(root=str(root)))
    assert ([image.file for image in listing.images], listing.faults) == ([native], ())
    assert tuple(map(str, listing.left_out)) == (f"{sampled}: another version of the same scan is read.",)
    assert _files(root, desc="preproc") == [native]
    key, _, label = sampling.split("_")[-1].partition("-")
    assert _files(root, entities={key: label}) == [sampled]


def test_two_samplings_in_the_space_that_was_asked_for_are_not_guessed_between(bids: Write) -> None:
    files = [f"sub-10/anat/sub-10_space-MNI_res-{res}_desc-preproc_T1w.nii.gz" for res in (1, 2)]
    root = bids("participant_id\n10\n", files)
    fault = index(BidsSpec(root=str(root), space="MNI")).faults[0]
    assert fault.reason == (
        "one version of a scan is needed; these are several. Choose with `entities: {res: ...}`, or keep one."
    )
    assert _files(root, space="MNI", entities={"res": 2}) == files[1:]


def test_the_magnitude_of_a_complex_scan_is_its_image(bids: Write) -> None:
    magnitude, phase = (f"sub-01/anat/sub-01_part-{part}_T1w.nii.gz" for part in ("mag", "phase"))
    root = bids("participant_id\n01\n", [magnitude, phase])
    listing = index(BidsSpec(root=str(root)))
    assert ([image.file for image in listing.images], listing.faults) == ([magnitude], ())
    assert tuple(map(str, listing.left_out)) == (
        f"{phase}: it is not the magnitude of a complex image. `entities: {{part: ...}}` takes another part.",
    )
    assert _files(root, entities={"part": "phase"}) == [phase]
    root = bids("participant_id\n01\n", ["sub-01/anat/sub-01_part-real_T1w.nii.gz"], "real")
    assert [fault.place for fault in index(BidsSpec(root=str(root))).faults] == ["sub-01"]


def test_accents_and_endings_may_be_written_in_either_way(bids: Write) -> None:
    """macOS writes names with their accents apart (NFD); tables have them composed (NFC)."""
    names = {form: unicodedata.normalize(form, "sub-Zoé/ses-été/anat/sub-Zoé_ses-été") for form in ("NFC", "NFD")}
    root = bids(unicodedata.normalize("NFC", "participant_id\tage\nZoé\t20\n"), [])
    for form, ending in (("NFC", ".NII"), ("NFD", ".nii.GZ")):
        (root / names[form]).parent.mkdir(parents=True)
        for suffix in ("T1w", "mask"):
            (root / f"{names[form]}_{suffix}{ending}").touch()
    listing = index(BidsSpec(root=str(root)))
    assert listing.faults == ()
    assert {(image.subject, image.session) for image in listing.images} == {("sub-Zoé", "été")}
    assert [image.mask is not None for image in listing.images] == [True, True]


def test_a_word_in_a_name_is_a_version_of_the_scan(bids: Write) -> None:
    files = [f"sub-01/anat/sub-01_{word}T1w.nii.gz" for word in ("", "brain_", "defaced_")]
    assert _files(bids("participant_id\n01\n", files)) == files[:1]
    fault = index(BidsSpec(root=str(bids("participant_id\n01\n", files[1:], "words")))).faults[0]
    assert fault.reason == "one version of a scan is needed; these are several. Keep one: no filter tells them apart."


@pytest.mark.parametrize("key", ["echo", "chunk", "rec", "flip", "inv", "split"])
def test_parts_of_one_scan_are_not_scans(bids: Write, key: str) -> None:
    files = [f"sub-01/anat/sub-01_{key}-{label}_T1w.nii.gz" for label in ("1", "2")]
    root = bids("participant_id\n01\n", files)
    assert [fault.reason for fault in index(BidsSpec(root=str(root))).faults] == [
        f"one version of a scan is needed; these are several. Choose with `entities: {{{key}: ...}}`, or keep one."
    ]
    assert _files(root, entities={key: 2}) == files[1:]
    root = bids("participant_id\n01\n", [*files, "sub-01/anat/sub-01_T1w.nii.gz"])
    assert _files(root) == ["sub-01/anat/sub-01_T1w.nii.gz"]


def test_entities_choose_among_scans_and_what_they_leave_is_named(bids: Write) -> None:
    names = ["acq-mprage_run-01", "acq-mprage_run-02", "acq-spgr_ce-gd_run-01", "run-01"]
    files = [f"sub-01/anat/sub-01_{name}_T1w.nii.gz" for name in names]
    root = bids("participant_id\n01\n", files)
    assert _files(root) == files
    for wishes, kept in (
        ({"acq": "mprage"}, files[:2]),
        ({"acq": "acq-mprage", "run": 1}, files[:1]),
        ({"acq": ["spgr", None]}, files[2:]),
        ({"ce": None}, [files[0], files[1], files[3]]),
        ({"run": "1"}, [files[0], files[2], files[3]]),
    ):
        listing = index(BidsSpec(root=str(root), entities=wishes))
        assert [image.file for image in listing.images] == kept
        assert {left.place for left in listing.left_out} == set(files) - set(kept)
    listing = index(BidsSpec(root=str(root), entities={"acq": ["spgr", None], "run": 1}))
    assert listing.left_out[0].reason == "the filters leave it out (acq: spgr or none, run: 1)."
    assert "(acq: flash)" in index(BidsSpec(root=str(root), entities={"acq": "flash"})).faults[0].reason


def test_sessions_that_were_not_asked_for_are_named_and_not_judged(bids: Write) -> None:
    files = [f"sub-01/ses-{ses}/anat/sub-01_ses-{ses}_T1w.nii.gz" for ses in "ab"]
    root = bids("participant_id\n01\n", [*files, "sub-01/ses-b/anat/wrong_T1w.nii.gz"])
    listing = index(BidsSpec(root=str(root), session="a"))
    assert ([image.file for image in listing.images], listing.faults) == (files[:1], ())
    assert [left.place for left in listing.left_out] == [files[1], "sub-01/ses-b/anat/wrong_T1w.nii.gz"]


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"ses": "01"}, "it has an option of its own, `session`"),
        ({"space": "MNI"}, "it has an option of its own, `space`"),
        ({"Acq": "x"}, "keys of `entities` are those of BIDS names"),
        ({"acq": True}, "a label is text, a whole number, or null"),
        ({"acq": [1.5]}, "a label is text, a whole number, or null; got 1.5"),
    ],
)
def test_what_is_no_filter_of_entities_is_refused(wishes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BidsSpec(root=".", entities=wishes)


def test_a_dataset_without_filters_of_entities_is_what_it_was() -> None:
    assert "entities" not in BidsSpec(root="x").model_dump_json()
    filtered = BidsSpec(root="x", entities={"run": 1, "acq": ["a", None]})
    assert BidsSpec.model_validate_json(filtered.model_dump_json()) == filtered
    assert filtered.identity() != BidsSpec(root="x").identity()


def test_files_of_macos_are_passed_over_and_other_formats_counted(bids: Write) -> None:
    root = bids(TWO, [f"sub-{subject}/anat/sub-{subject}_T1w.nii.gz" for subject in ("01", "02")])
    (root / "sub-02/anat/sub-02_T1w.nii.gz.nii").touch()
    for name in ("._sub-01_T1w.nii.gz", "._sub-01_mask.nii.gz", "sub-01_T1w.json", "sub-01_T1w.mgz"):
        (root / "sub-01/anat" / name).touch()
    listing = index(BidsSpec(root=str(root)))
    assert (len(listing.images), listing.faults) == (2, ())
    assert tuple(map(str, listing.left_out)) == (
        "sub-01/anat/sub-01_T1w.mgz: only .nii.gz and .nii are read. Convert it.",
        "sub-02/anat/sub-02_T1w.nii.gz.nii: the name must end in _T1w.nii or _T1w.nii.gz. Rename it.",
    )


def test_every_wrong_line_of_a_subjects_sessions_is_a_fault_of_its_own(bids: Write) -> None:
    root = bids("participant_id\n01\n", ["sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz"])
    (root / "sub-01/sub-01_sessions.tsv").write_text("session_id\tage\n1\n2\t3\n2\t4\n")
    faults = index(BidsSpec(root=str(root))).faults
    assert [fault.place for fault in faults] == [
        "sub-01/sub-01_sessions.tsv, line 2", "sub-01/sub-01_sessions.tsv, line 4",
    ]  # fmt: skip


def test_a_label_with_an_underscore_is_named_once(bids: Write) -> None:
    files = [f"sub-MCI_1/anat/sub-MCI_1_{name}.nii.gz" for name in ("T1w", "run-2_T1w", "mask")]
    root = bids("participant_id\nMCI_1\n02\nMCI_3\n", [*files, "sub-02/ses-v_1/anat/sub-02_ses-v_1_T1w.nii.gz"])
    faults = index(BidsSpec(root=str(root))).faults
    assert [fault.place for fault in faults] == ["sub-02/ses-v_1", "sub-MCI_1", "sub-MCI_3"]
    assert {fault.reason for fault in faults} == {
        "a label must not hold `_`, which ends it in the names of BIDS. Rename the folder, its files, and the id in "
        "the tables."
    }


def test_two_runs_of_a_subject_are_two_images(bids: Write) -> None:
    files = [f"sub-01/anat/sub-01_run-{run}_T1w.nii.gz" for run in (1, 2)]
    assert _files(bids("participant_id\n01\n", files)) == files


def test_one_run_numbered_in_two_ways_is_not_two(bids: Write) -> None:
    root = bids("participant_id\n01\n", [f"sub-01/anat/sub-01_run-{run}_T1w.nii.gz" for run in ("1", "01")])
    assert index(BidsSpec(root=str(root))).faults[0].reason == (
        "one version of a scan is needed; these are several. Keep one: no filter tells them apart."
    )


def test_the_brain_mask_in_the_same_space_is_found(bids: Write) -> None:
    stem = "sub-01/anat/sub-01_space-MNI"
    files = [
        f"{stem}_{end}.nii.gz" for end in ("desc-preproc_T1w", "desc-brain_mask", "label-GM_mask", "desc-lesion_mask")
    ]
    root = bids("participant_id\n01\n", [*files, "sub-01/anat/sub-01_desc-brain_mask.nii.gz"])
    assert index(BidsSpec(root=str(root))).images[0].mask == f"{stem}_desc-brain_mask.nii.gz"
    assert index(BidsSpec(root=str(root), mask=False)).images[0].mask is None


def test_a_derivative_may_leave_the_table_to_the_raw_dataset(bids: Write, tmp_path: Path, save: Write) -> None:
    root = bids("participant_id\tage\n01\t33\n", [])
    save(root / "derivatives/prep/sub-01/anat/sub-01_T1w.nii.gz")
    assert index(BidsSpec(root=str(root / "derivatives/prep"))).images[0].columns == {"age": "33"}


def test_the_mask_beside_a_file_is_the_one_that_the_dataset_would_take(bids: Write, tmp_path: Path) -> None:
    names = ["T1w", "mask", "desc-brain_mask", "label-GM_mask", "run-2_T1w", "run-2_mask"]
    root = bids("participant_id\n01\n", [f"sub-01/anat/sub-01_{name}.nii.gz" for name in names])
    for image in index(BidsSpec(root=str(root))).images:
        assert mask_beside(root / image.file) == root / str(image.mask)
    assert mask_beside(root / "sub-01/anat/sub-01_run-3_T1w.nii.gz") is None
    assert mask_beside(tmp_path / "nowhere" / "scan.nii.gz") is None


def test_units_are_read_where_the_table_is_described(bids: Write, save: Write) -> None:
    root = bids("participant_id\tage\n01\t33\n", ["sub-01/anat/sub-01_T1w.nii.gz"])
    assert index(BidsSpec(root=str(root))).units == {}
    (root / "participants.json").write_text('{"age": {"Units": "years"}, "dose": {"Units": 3}, "sex": {}}')
    assert index(BidsSpec(root=str(root))).units == {"age": "years"}
    save(root / "derivatives/prep/sub-01/anat/sub-01_T1w.nii.gz")
    assert index(BidsSpec(root=str(root / "derivatives/prep"))).units == {"age": "years"}
    (root / "sessions.json").write_text('{"age": {"Units": "Year"}}')
    assert index(BidsSpec(root=str(root))).units == {"age": "years"}
    (root / "sessions.json").unlink()
    (root / "participants.json").write_text(
        '{"a": {"Units": "n/a"}, "b": {"Units": " Jahre (años) "}, "c": {"Units": "[μm]"}}'
    )
    assert index(BidsSpec(root=str(root))).units == {"b": "Jahre (años)", "c": "[μm]"}
    (root / "participants.json").write_bytes('\ufeff{"age": {"Units": "months"}}'.encode())
    assert index(BidsSpec(root=str(root))).units == {"age": "months"}
    (root / "sub-01/sub-01_sessions.json").write_text('{"age": {"Units": "years"}}')
    with pytest.raises(DataError, match="one unit in all tables; 'age' has 'months' and 'years'. Convert one."):
        index(BidsSpec(root=str(root)))
    (root / "participants.json").unlink()
    assert index(BidsSpec(root=str(root))).units == {"age": "years"}
    (root / "sub-01/sub-01_sessions.json").unlink()
    for text in (
        "no JSON",
        "[]",
        "[" * 100_000,
        '{"age": 3}',
        '{"age": {"Units": "told by Dr A. Surname, see letter"}}',
    ):
        (root / "participants.json").write_text(text)
        listing = index(BidsSpec(root=str(root)))
        assert listing.units == {}
        assert [left.place for left in listing.left_out] == ["participants.json"] * (not text.startswith("{"))


@pytest.mark.parametrize("name", ["participants.tsv", "participants.json", "sub-01/sub-01_sessions.tsv"])
def test_a_table_that_is_a_pipe_is_not_waited_for(bids: Write, name: str) -> None:
    root = bids("participant_id\tage\n01\t33\n", ["sub-01/anat/sub-01_T1w.nii.gz"])
    (root / name).unlink(missing_ok=True)
    os.mkfifo(root / name)
    with contextlib.suppress(DataError):
        assert index(BidsSpec(root=str(root))).units == {}


def test_other_modalities_and_hidden_folders_are_left_alone(bids: Write) -> None:
    root = bids("participant_id\n01\n", ["sub-01/anat/sub-01_T1w.nii.gz", "sub-01/anat/sub-01_T2w.nii.gz"])
    (root / "sub-99").mkdir()
    (root / "sub-note.txt").touch()
    listing = index(BidsSpec(root=str(root)))
    assert (len(listing.images), listing.faults) == (1, ())


def test_a_name_that_belongs_to_another_folder_is_a_fault(bids: Write) -> None:
    root = bids(TWO, ["sub-01/anat/sub-02_T1w.nii.gz", "sub-02/anat/sub-02_ses-1_T1w.nii.gz"])
    faults = index(BidsSpec(root=str(root))).faults
    assert [fault.place for fault in faults] == [
        "sub-01/anat/sub-02_T1w.nii.gz",
        "sub-02/anat/sub-02_ses-1_T1w.nii.gz",
    ]


def test_links_may_stay_inside_but_not_leave(bids: Write, tmp_path: Path, save: Write) -> None:
    root = bids(TWO, [])
    outside = save(tmp_path / "elsewhere/image.nii.gz")
    inside = save(root / ".git/annex/image.nii.gz")
    for subject, target in (("sub-01", inside), ("sub-02", outside)):
        (root / subject / "anat").mkdir(parents=True)
        (root / subject / "anat" / f"{subject}_T1w.nii.gz").symlink_to(target)
    listing = index(BidsSpec(root=str(root)))
    assert [image.subject for image in listing.images] == ["sub-01"]
    assert tuple(map(str, listing.faults)) == (
        "sub-02/anat/sub-02_T1w.nii.gz: a link must not point out of the dataset's folder. Copy its target here.",
    )


def test_links_into_the_annex_of_the_dataset_s_own_repository_are_followed(tmp_path: Path, save: Write) -> None:
    """A folder of a repository, and a submodule whose .git is a file, or the link that git-annex makes of it."""
    for kind in ("folder", "file", "link"):
        top = tmp_path / kind
        root = top / "derivatives/prep"
        save(root / "sub-01/anat/sub-01_T1w.nii.gz")
        home = top / (".git" if kind == "folder" else ".git/modules/prep")
        image = save(home / "annex/objects/W7/MD5E-s3--01.nii.gz", 1)
        if kind == "file":
            (root / ".git").write_text("gitdir: ../../.git/modules/prep\n")
        elif kind == "link":
            (root / ".git").symlink_to("../../.git/modules/prep")
        (root / "participants.tsv").write_text(TWO)
        (root / "sub-02/anat").mkdir(parents=True)
        (root / "sub-02/anat/sub-02_T1w.nii.gz").symlink_to(image)
        listing = index(BidsSpec(root=str(root)))
        assert ([image.subject for image in listing.images], listing.faults) == (["sub-01", "sub-02"], ())


def test_a_link_into_an_annex_that_is_not_there_was_not_fetched(bids: Write) -> None:
    root = bids(TWO, ["sub-01/anat/sub-01_T1w.nii.gz"])
    (root / "sub-02/anat").mkdir(parents=True)
    (root / "sub-02/anat/sub-02_T1w.nii.gz").symlink_to("../../../.git/annex/objects/W7/MD5E-s3--02.nii.gz")
    assert [fault.reason for fault in index(BidsSpec(root=str(root))).faults] == [
        "git-annex has not fetched the content of this file. Run `datalad get` or `git annex get`."
    ]


def test_a_link_that_leaves_is_one_fault(bids: Write, tmp_path: Path, save: Write) -> None:
    root = bids(TWO, ["sub-01/anat/sub-01_T1w.nii.gz"])
    outside = save(tmp_path / "elsewhere/anat/sub-02_T1w.nii.gz")
    (root / "sub-02").symlink_to(outside.parents[1])
    (root / "sub-01/sub-01_sessions.tsv").symlink_to(outside)
    listing = index(BidsSpec(root=str(root)))
    assert [fault.place for fault in listing.faults] == ["sub-02", "sub-01/sub-01_sessions.tsv"]
    assert listing.images == ()


def test_a_linked_subject_folder_must_not_leave_either(bids: Write, tmp_path: Path, save: Write) -> None:
    root = bids(TWO, ["sub-01/anat/sub-01_T1w.nii.gz"])
    save(tmp_path / "elsewhere/anat/sub-02_T1w.nii.gz")
    (root / "sub-02").symlink_to(tmp_path / "elsewhere")
    assert index(BidsSpec(root=str(root))).faults[0].reason.startswith("a link must not point out")


def test_a_linked_table_must_not_leave_either(bids: Write, tmp_path: Path) -> None:
    root = bids(TWO, [])
    (root / "participants.tsv").rename(tmp_path / "participants.tsv")
    (root / "participants.tsv").symlink_to(tmp_path / "participants.tsv")
    with pytest.raises(DataError, match=r"participants\.tsv: a link must not point out"):
        index(BidsSpec(root=str(root)))


def test_no_table_and_no_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"participants\.tsv: a BIDS folder needs this table") as caught:
        index(BidsSpec(root=str(tmp_path)))
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(DataError, match="must be a folder; 'absent' is none"):
        index(BidsSpec(root=str(tmp_path / "absent")))


def test_a_prefix_chooses_what_cat12_has_made(tmp_path: Path) -> None:
    made = layouts.cat12(tmp_path)
    found = index(BidsSpec(name="maps", root=str(made), prefix="mwp1"))
    assert len(found.images) == 24
    assert found.images[0].file == "sub-01/anat/mwp1sub-01_T1w.nii"
    assert {left.reason for left in found.left_out if left.place.endswith(".nii")} == {
        "the filters leave it out (prefix: mwp1)."
    }
    plain = index(BidsSpec(name="maps", root=str(made)))
    assert any("name in `prefix` what stands before them" in fault.reason for fault in plain.faults)
