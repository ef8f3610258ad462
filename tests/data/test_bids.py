from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ctlr.data.kinds.bids import index, mask_beside
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


def test_two_runs_of_a_subject_are_two_images(bids: Write) -> None:
    files = [f"sub-01/anat/sub-01_run-{run}_T1w.nii.gz" for run in (1, 2)]
    assert _files(bids("participant_id\n01\n", files)) == files


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
    for text in (
        "no JSON",
        "[]",
        "[" * 100_000,
        '{"age": 3}',
        '{"age": {"Units": "told by Dr A. Surname, see letter"}}',
    ):
        (root / "participants.json").write_text(text)
        assert index(BidsSpec(root=str(root))).units == {}


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
