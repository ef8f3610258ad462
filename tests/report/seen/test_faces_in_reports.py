"""No report shows a face: whatever pixels a page embeds are the same for the same brains behind other faces."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from heads import write_heads
from stored_bench import stored_bench

from ctlr.outcome.views import drawn_views
from ctlr.report.finished import Finished
from ctlr.report.page import build_report
from ctlr.specs import BidsSpec, PreprocessSpec, TaskSpec

AGE = TaskSpec(name="age", target="age", kind="regression")
WHOLE = PreprocessSpec(shape=(60, 60, 60), spacing=4.0, normalise="none")
ONE, OTHER = {"nose": 16.0, "eyes": 32.0, "jaw": 46.0}, {"nose": 24.0, "eyes": 40.0, "jaw": 54.0}


def people(folder: Path, count: int, face: dict[str, float], privacy: str = "standard") -> Finished:
    write_heads(folder / "data", count, **face)
    data = BidsSpec(name="people", root=str(folder / "data"), preprocess=WHOLE)
    found = stored_bench(
        data, AGE, folder / "ws", predict=lambda truth, _: truth + (truth - 30) ** 2 / 50, privacy=privacy
    )  # type: ignore[arg-type]
    return replace(found, views=drawn_views(found))


def pictures(found: Finished, out: Path) -> list[str]:
    """Every picture that the page holds."""
    return re.findall(r'src="(data:image/[^"]*)"', build_report(found, out).read_text())


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return people(tmp_path_factory.mktemp("one"), 8, ONE)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    return people(tmp_path_factory.mktemp("other"), 8, OTHER)


def test_other_faces_before_the_same_brains_make_the_same_pictures(
    one: Finished, other: Finished, tmp_path: Path
) -> None:
    first, second = (pictures(found, tmp_path / name) for name, found in (("first", one), ("second", other)))
    assert len(first) == 3 + 3 + 8 + 2 * 5 + 6  # mean, thirds, gallery, views, best and worst
    assert first == second


def test_with_faces_they_would_not_be_the_same(
    one: Finished, other: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BidsSpec, "faces", False)
    first, second = (pictures(found, tmp_path / name) for name, found in (("first", one), ("second", other)))
    assert first != second  # at the least the sagittal plane of the mean: it shows a profile


def test_the_page_says_what_is_blank(one: Finished, tmp_path: Path) -> None:
    text = build_report(one, tmp_path).read_text()
    assert "What lies outside the skull or below the brows is blank" in text
    assert "without a face" in text


def test_strict_privacy_shows_no_single_subject(tmp_path: Path) -> None:
    found = people(tmp_path, 8, ONE, privacy="strict")
    assert found.views == ()
    assert pictures(found, tmp_path / "out") == []
    text = (tmp_path / "out" / "report.html").read_text()
    assert "No mean is shown: with 8 subjects it would be nearly a picture of one." in text
    assert "Best and worst predictions" in text


def test_strict_privacy_keeps_the_mean_of_many(tmp_path: Path) -> None:
    found = people(tmp_path, 21, ONE, privacy="strict")
    assert len(pictures(found, tmp_path / "out")) == 3


def test_a_report_whose_images_are_gone_does_without(one: Finished, tmp_path: Path) -> None:
    gone = replace(one, arrays={name: stored.model_copy(update={"path": "arrays/gone"}) for name, stored in
                                one.arrays.items()}, views=())  # fmt: skip
    assert pictures(gone, tmp_path) == []
    assert "What the networks saw" not in (tmp_path / "report.html").read_text()
