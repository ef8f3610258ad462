"""What is known of a run before it: numbers, refusals, and what is left."""

import re
from pathlib import Path

import pytest
from clinic import CLINIC, participants, volume_file, write_clinic

from ctlr.config import load
from ctlr.cost import costs
from ctlr.data.preprocess import preprocess
from ctlr.errors import ConfigError, DataError
from ctlr.foresight import listings, measure_together, sizes, stored_arrays, summaries, work_left
from ctlr.plan import Plan, make_plan
from ctlr.steps.evaluate import evaluate
from ctlr.steps.finetune import finetune
from ctlr.workspace import Workspace


@pytest.fixture
def clinic(tmp_path: Path) -> Plan:
    write_clinic(tmp_path / "clinic")
    (tmp_path / "clinic.yaml").write_text(CLINIC)
    return make_plan(load(tmp_path / "clinic.yaml"))


def test_images_are_counted_beside_subjects_before_any_is_read(clinic: Plan, tmp_path: Path) -> None:
    first = volume_file(tmp_path / "clinic", "sub-XYZZY03")
    first.write_bytes(b"")
    second = first.parents[1] / "ses-2" / "anat" / "sub-XYZZY03_ses-2_T1w.nii.gz"
    second.parent.mkdir(parents=True)
    second.write_bytes(b"")
    size = sizes(clinic, listings(clinic))["clinic"]
    assert (size.subjects, size.images) == (30, 31)
    # 30 people less 8 for the test and 6 for validation, and the second scan where its subject is in the pool
    assert size.pools["age"] in (16, 17)


def test_targets_are_told_with_what_may_not_be_meant_before_any_image_is_read(clinic: Plan, tmp_path: Path) -> None:
    rows = participants(tmp_path / "clinic")
    rows[1][1], rows[2][1], rows[3][2], rows[4][2] = "-9999", "42,43", "male", "n/a"
    (tmp_path / "clinic/participants.tsv").write_text("\n".join("\t".join(row) for row in rows) + "\n")
    (tmp_path / "clinic/participants.json").write_text('{"age": {"Units": "months"}}')
    age, sex = sorted(summaries(clinic, listings(clinic)), key=lambda each: each.task)
    assert (age.column, age.images, age.known, age.low, age.unit) == ("age", 30, 30, -9999, "months")
    assert age.warnings == (
        "1 image has -9999, which may be a code for unknown. Write n/a if it is.",
        "1 cell holds a comma, which is read as a decimal point: 42,43 is 42.43. Correct those that mean two numbers, "
        "or thousands.",
    )
    assert (sex.known, sex.classes) == (29, {"F": 14, "M": 14, "male": 1})
    assert sex.warnings == ("'M', 'male' may be one class, spelled in several ways. Write it in one.",)


def test_filters_that_leave_no_image_stop_a_plan_with_the_reason(clinic: Plan, tmp_path: Path) -> None:
    plan = make_plan(load(tmp_path / "clinic.yaml", ["datasets.clinic.entities={acq: mprage}"]))
    with pytest.raises(DataError, match=r"30 subjects or images cannot be used:\n  sub-XYZZY00: .* \(acq: mprage\)"):
        listings(plan)


def test_too_few_subjects_stop_a_plan_with_the_words_that_would_stop_the_run(clinic: Plan, tmp_path: Path) -> None:
    table = tmp_path / "clinic" / "participants.tsv"
    rows = participants(tmp_path / "clinic")
    unknown = [[row[0], "n/a", *row[2:]] if number > 15 else row for number, row in enumerate(rows)]
    table.write_text("\n".join("\t".join(row) for row in unknown) + "\n")
    with pytest.raises(ConfigError, match=r"n_train=6 \+ 6 validation; dataset 'clinic' has 15 subjects with target"):
        sizes(clinic, listings(clinic))


def test_a_plan_never_counts_less_than_nothing(tmp_path: Path) -> None:
    write_clinic(tmp_path / "clinic", people=14)
    (tmp_path / "clinic.yaml").write_text(CLINIC.replace("[4, 6]", "[40]"))
    plan = make_plan(load(tmp_path / "clinic.yaml"))
    with pytest.raises(ConfigError, match=re.escape("at most 3 can be trained on. Lower `sample_sizes`")):
        costs(plan, sizes(plan, listings(plan)), {})


def test_only_what_the_workspace_lacks_is_left(clinic: Plan, tmp_path: Path) -> None:
    root, found, config = tmp_path / "workspace", listings(clinic), load(tmp_path / "clinic.yaml")

    def rows() -> dict[tuple[str, str], tuple[int, int]]:
        """(stage, method) -> (done, to do)."""
        plan, left = work_left(config, clinic, [], stored_arrays(clinic, found, root), root)
        return {(row.stage, row.method): (row.done, row.steps) for row in costs(plan, sizes(plan, found), {}, left)}

    nothing = {
        ("preprocess", ""): (0, 1), ("pretrain", "supervised"): (0, 1), ("finetune", "scratch"): (0, 2),
        ("finetune", "supervised"): (0, 2),
    }  # fmt: skip
    assert rows() == nothing
    assert not root.exists()
    workspace = Workspace(root)
    arrays = {data.name: preprocess(data, workspace) for data in clinic.datasets}
    assert rows() == nothing | {("preprocess", ""): (1, 0)}
    study = next(study for study in clinic.studies if study.method.label == "scratch")
    finetune(study, arrays, workspace)
    evaluate(study, arrays, workspace)
    assert rows() == nothing | {("preprocess", ""): (1, 0), ("finetune", "scratch"): (1, 1)}
    # a changed image changes everything
    volume_file(tmp_path / "clinic", "sub-XYZZY04").touch()
    assert rows() == nothing


def test_workers_time_the_steps_together(clinic: Plan) -> None:
    found = listings(clinic)
    rates = measure_together(clinic, sizes(clinic, found), found, workers=2, device="cpu")
    assert set(rates) == {
        "preprocess bids 1x16x16x16", "pretrain supervised small_cnn*1 1x16x16x16", "run",
        "finetune scratch small_cnn*1 1x16x16x16", "finetune supervised small_cnn*1 1x16x16x16",
    }  # fmt: skip
    assert all(seconds > 0 for seconds in rates.values())
