from pathlib import Path

import layouts
import numpy as np
import pytest
from PIL import Image

from ctlr.errors import ConfigError
from ctlr.proposal import choose, look
from ctlr.specs import PLUGINS, use_files

OWN = '''"""A kind of a stranger: a folder of arrays, which it knows by their ending."""
from ctlr.data.glance import Sighting
from ctlr.data.reader import FileReader
from ctlr.data.listing import IndexedImage, Listing
from ctlr.specs import DatasetSpec, Measured
from pathlib import Path
from typing import ClassVar, Literal

class StripsSpec(DatasetSpec):
    """Strips."""
    kind: Literal["strips"] = "strips"
    root: str
    """Folder."""
    ndim: ClassVar[int] = 2
    reader: ClassVar[str] = f"{__name__}:StripsReader"
    recogniser: ClassVar[str] = f"{__name__}:sightings"
    layout: ClassVar[str] = "1.strip"

class StripsReader(FileReader):
    def index(self):
        files = sorted(Path(self.spec.root).glob("*.strip"))
        images = [IndexedImage(subject=f.stem, file=f.name, columns={"age": f"{n}.5"}) for n, f in enumerate(files)]
        return Listing(root=Path(self.spec.root), images=tuple(images))

    def measure(self, image):
        return Measured(shape=(50, 40))

def sightings(seen):
    count = seen.endings.get(".strip", 0)
    if count:
        yield Sighting(kind="strips", what=f"{count} strips", files=count, lacking="" if count > 9 else "Add strips.")
'''


def refusal(folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        look(folder)
    return str(caught.value).splitlines()


def test_a_folder_of_something_else_is_counted_and_three_layouts_are_drawn(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"papers/{number}").mkdir(parents=True)
        (tmp_path / f"papers/{number}/text.pdf").write_bytes(b"x")
    lines = refusal(tmp_path)
    assert lines[1] == (
        "What is there: 5 files, 2 folders deep: 5 .pdf; e.g. papers/0/text.pdf, papers/1/text.pdf, papers/2/text.pdf."
    )
    told = "\n".join(lines)
    for part in ("participants.tsv  ", "a folder a class; or train/cat/1.png", "a line a scan"):
        assert part in told


def test_the_nearest_layout_is_named_first_with_what_to_change(tmp_path: Path) -> None:
    layouts.openneuro(tmp_path)
    (tmp_path / "participants.tsv").unlink()
    lines = refusal(tmp_path)
    assert lines[2].startswith("Nearest to it is `kind: bids` (a BIDS dataset in the folder: 24 subjects")
    assert "a BIDS folder needs this table of its subjects" in lines[3]
    assert lines[5].strip().startswith("A BIDS folder")


def test_dicom_files_are_to_be_converted(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"x")
    lines = refusal(tmp_path)
    assert (
        lines[3]
        == "What to change: files ending in .dcm are not read. Convert them to .nii.gz, with nibabel or dcm2niix."
    )


def test_an_empty_folder_and_none_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path)[1] == "What is there: no file."
    assert refusal(tmp_path / "none") == [f"--data: {tmp_path / 'none'}: there is no such folder. Correct the path."]


def test_damaged_headers_are_passed_over(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(4):
            Image.fromarray(rng.integers(0, 255, (30, 20), np.uint8)).save(tmp_path / name / f"{number}.png")
    (tmp_path / "a/broken.png").write_bytes(b"\x89PNG")
    (found,) = look(tmp_path).datasets
    assert len(found.listing.images) == 9
    assert {each.shape for each in found.measured} == {(30, 20)}


def test_a_kind_of_somebody_else_takes_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLUGINS, "")
    (tmp_path / "strips.py").write_text(OWN)
    use_files([tmp_path / "strips.py"])
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number}.strip").write_bytes(b"x")
    lines = refusal(folder)
    assert lines[2:4] == ["Nearest to it is `kind: strips` (8 strips).", "What to change: Add strips."]
    for number in range(8, 40):
        (folder / f"{number}.strip").write_bytes(b"x")
    (found,) = look(folder).datasets
    assert (found.spec.kind, found.measured[0].shape) == ("strips", (50, 40))
    assert found.spec.preprocessings(found.measured)[0]["shape"] == [32, 32]
    assert choose(look(folder), None).target.column.name == "age"
