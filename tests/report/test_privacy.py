import pytest

from ctlr.report.privacy import scrub


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("cannot read /home/alice/scans/T1.nii.gz: truncated", "cannot read [path]: truncated"),
        ("root: /data/cohort", "root: [path]"),
        ("opened (/srv/mri/a.txt).", "opened ([path])."),
        ("--workspace=/mnt/x/y --set a.b=1", "--workspace=[path] --set a.b=1"),
        ("in '/home/Jane Doe/my scans' today", "in [path] today"),
        ("in /home/Jane Doe/my/scans today", "in [path] today"),
        ("~/data/x and ~alice/y", "[path] and [path]"),
        ("-I/home/alice/include", "-I[path]"),
        (r"C:\Users\alice\x.txt is locked", "[path] is locked"),
        (r"\\server\share\alice", "[path]"),
        ("file:///home/alice/x y", "[path] y"),
        ("sub-0012/anat/sub-0012_T1w.nii.gz: NaN voxels", "[subject]/anat/[image]: NaN voxels"),
        ("subject sub-A03 has no image", "subject [subject] has no image"),
        ("sub-ALICE_ses-1", "[subject]_ses-1"),
        ("train/cats/alice_smith.PNG is no picture", "train/cats/[image] is no picture"),
        ("scanned 2021-03-04 10:11", "scanned [date]"),
        ("scanned 04.03.2021", "scanned [date]"),
        ("run by alice@lab.example.org", "run by [address]"),
    ],
)
def test_what_names_a_person_or_a_place_leaves_a_bracketed_word(text: str, clean: str) -> None:
    assert scrub(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "loss is NaN at epoch 3/40",
        "root: ../data/cohort",
        "n/a and/or 1/2",
        "https://example.org/atlas/mni",
        "torch 2.13.0+cpu, certifi 2024.12.14, seeds 0, 1, 2",
        "sub-second steps after sub-sampling",
        "ctlr run benchmarks/brain-age.yaml --set finetune.epochs=2",
        "<b>bold</b> is </b> closed",
    ],
)
def test_text_without_secrets_is_left_as_it_is(text: str) -> None:
    assert scrub(text) == text
