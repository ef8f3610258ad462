"""What is read of a benchmark before any study has ended."""

from pathlib import Path

from clinic import CLINIC, write_clinic

from ctlr.config import load
from ctlr.data.preprocess import preprocess
from ctlr.outcome.finished import read_finished
from ctlr.plan import make_plan
from ctlr.workspace import Workspace


def test_targets_and_what_was_left_out_are_read_from_what_is_stored(tmp_path: Path) -> None:
    write_clinic(tmp_path / "clinic")
    (tmp_path / "clinic/participants.json").write_text('{"age": {"Units": "years"}}')
    (tmp_path / "clinic/sub-XYZZY00/anat/sub-XYZZY00_rec-norm_T1w.nii.gz").touch()
    (tmp_path / "clinic.yaml").write_text(CLINIC)
    config, workspace = load(tmp_path / "clinic.yaml"), Workspace(tmp_path / "workspace")
    arrays = {data.name: preprocess(data, workspace) for data in make_plan(config).datasets}
    found = read_finished(config, workspace, arrays, environment={})
    age, sex = sorted(found.targets, key=lambda each: each.task)
    assert (age.images, age.known, age.unit, sex.classes) == (30, 30, "years", {"F": 15, "M": 15})
    assert age.warnings == sex.warnings == ()
    assert found.excluded == ("clinic: another version of the same scan is read.",)
    assert "XYZZY" not in repr(found.targets) + repr(found.excluded)
