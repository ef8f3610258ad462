"""Sets of points: drawn, generated, from tables; models that are fitted to them at once."""

import json
import re
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import form_of
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.errors import ConfigError, DataError
from ctlr.specs import GENERATORS, PointsSpec
from ctlr.ui import plane
from ctlr.ui.points import FAMILIES, MOST, PointSet, PointSets, family_of, fit_to

Client = Callable[..., TestClient]
HTML = "<script>alert(1)</script>"


def two(n: int = 20) -> PointSet:
    """Two classes left and right of the middle, all of them to train on and the same ones on the other sides."""
    x = np.tile(np.concatenate([np.linspace(-2, -1, n), np.linspace(1, 2, n)]), 3)
    points = np.stack([x, np.tile(np.linspace(-1, 1, n), 6)], axis=1)
    return PointSet("two", ("a", "b"), points, (x > 0).astype(np.int64), np.repeat(np.arange(3), 2 * n))


def post(browser: TestClient, path: str, **fields: Any) -> Any:
    files = {name: fields.pop(name) for name in ("table",) if name in fields}
    return browser.post(path, data={"form": form_of(browser, "/points"), **fields}, files=files or None)


def errors(text: str) -> list[str]:
    """The numbers of the row of errors."""
    found = re.search(r'class="best">.*?</tr>', text)
    return re.findall(r"\((\d+ of \d+)\)", found[0]) if found else []


# ---------------------------------------------------------------- models


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_tells_two_heaps_apart(family: str) -> None:
    fit = fit_to(two(), family_of({"model": family}))
    assert fit.wrong == {"train": (0, 40), "dev": (0, 40), "eval": (0, 40)}
    assert set(fit.codes[:, :10].ravel().tolist()) == {0}
    assert set(fit.codes[:, -10:].ravel().tolist()) == {1}


def test_points_that_do_not_train_are_counted_and_not_learned() -> None:
    found = two()
    flipped = PointSet("two", found.classes, found.points, np.where(found.sides == 2, 1 - found.codes, found.codes),
                       found.sides)  # fmt: skip
    assert fit_to(flipped, family_of({"model": "knn"})).wrong["eval"] == (40, 40)
    with pytest.raises(DataError, match="two classes must train"):
        fit_to(
            PointSet("two", found.classes, found.points, found.codes, found.sides * 0 + 1), family_of({"model": "knn"})
        )


@pytest.mark.parametrize(
    ("form", "words"),
    [({"model": "resnet18"}, "no model"), ({"model": "knn", "knn.neighbours": "0"}, "neighbours"),
     ({"model": "knn", "knn.weights": HTML}, "weights"), ({"model": "forest", "forest.trees": "5000"}, "at most 100"),
     ({"model": "svm", "svm.slack": "nan"}, "slack")],
)  # fmt: skip
def test_options_are_what_a_benchmark_file_may_say_and_no_dearer(form: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        family_of(form)


# ---------------------------------------------------------------- sets


numbers = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: float(np.float32(x)))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(numbers, numbers, st.integers(0, 1), st.integers(0, 2)), min_size=1, max_size=30))
def test_a_set_that_goes_out_as_a_table_comes_in_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[float, float, int, int]]
) -> None:
    sets = PointSets(tmp_path_factory.mktemp("w"))
    drawn = sets.empty("one").with_rows([list(row) for row in rows])
    sets.keep(drawn)
    text = sets.table("one").read_bytes()
    back = sets.uploaded("two", text, ["x", "y", "class"])
    assert sets.table("two").read_bytes() == text
    assert [back.classes[code] for code in back.codes] == [drawn.classes[code] for code in drawn.codes]
    assert np.array_equal(sets.get("two").points, sets.get("one").points)


def test_what_is_drawn_is_what_kind_points_reads(tmp_path: Path) -> None:
    sets = PointSets(tmp_path)
    sets.keep(two())
    from ctlr.data.kinds.points import PointsReader

    spec = PointsSpec(
        name="p", root=str(tmp_path / "points/two"), table="points.csv", features=("x", "y"), split="split"
    )
    listing = PointsReader(spec).listing()
    assert not listing.faults
    assert len(listing.images) == 120


@pytest.mark.parametrize(
    "rows",
    [[[1, 2, 3]], [[0, 0, 2, 0]], [[0, 0, 0, 3]], [[0, 0, -1, 0]], [[float("nan"), 0, 0, 0]], [[1e9, 0, 0, 0]], "x",
     [["x", 0, 0, 0]], [[0, 0, 0, 0]] * (MOST + 1), {"a": 1}],
)  # fmt: skip
def test_points_that_are_none_are_refused(rows: Any) -> None:
    with pytest.raises(DataError):
        two().with_rows(rows)


def test_a_point_outside_widens_the_view_and_forgets_the_generator(client: Client, tmp_path: Path) -> None:
    browser = client()
    made = post(browser, "/points/generator", name="g", generator="toroid", train=50, dev=20, eval=20)
    assert made.headers["location"] == "/points/g"
    text = browser.get("/points/g").text
    assert "9.23%" in text
    assert 'class="truth" d="M' in text
    assert post(browser, "/points/g/add", x="7", y="0", **{"class": "1"}, side="0").headers["location"] == "/points/g"
    assert PointSets(tmp_path / "workspace").get("g").view[1] == pytest.approx(7, rel=0.2)
    assert "9.23%" not in browser.get("/points/g").text


# ---------------------------------------------------------------- pages


@pytest.mark.parametrize("generator", GENERATORS)
def test_a_generator_s_parameters_stand_in_the_page_and_draw_other_points(
    client: Client, tmp_path: Path, generator: str
) -> None:
    browser, sets = client(), PointSets(tmp_path / "workspace")
    page = browser.get("/points").text
    rules = GENERATORS[generator].parameters
    for name, rule in rules.items():
        assert f'name="{generator}.{name}" value="{rule.default:g}" min="{rule.low:g}" max="{rule.high:g}"' in page
        assert rule.about in page
    post(browser, "/points/generator", name="g", generator=generator, train=50, dev=20, eval=20)
    before = sets.get("g")
    given = {f"{generator}.noise": "0.5", "other.noise": "x"}
    again = post(browser, "/points/g/anew", generator=generator, train=60, dev=20, eval=20, **given)
    assert again.headers["location"] == "/points/g"
    after = sets.get("g")
    assert len(after.points) == 100
    assert after.points[:50].std() > before.points[:50].std()
    assert f'name="{generator}.noise" value="0.5"' in browser.get("/points/g").text
    refused = post(browser, "/points/g/anew", generator=generator, train=60, dev=20, eval=20,
                   **{f"{generator}.noise": "7"})  # fmt: skip
    assert "`parameters.noise` must be a number from 0.03 to 1; got 7" in unescape(refused.text)


def test_without_scripts_points_are_generated_fitted_and_taken_away(client: Client, tmp_path: Path) -> None:
    browser = client()
    post(browser, "/points/generator", name="g", generator="yin_yang", train=200, dev=100, eval=100)
    text = browser.get("/points/g", params={"model": "knn", "knn.neighbours": "1"}).text
    assert errors(text)[0] == "0 of 200"  # each point is its own neighbour
    assert text.count('<path class="c') == 2
    table = browser.get("/points/g/points.csv")
    assert table.headers["content-type"].startswith("text/csv")
    assert table.text.startswith("x,y,class,split\n")
    assert len(table.text.splitlines()) == 401
    assert post(browser, "/points/g/delete").headers["location"] == "/points"
    assert not (tmp_path / "workspace/points/g").exists()


def test_a_drawing_is_kept_and_answered_at_once(client: Client, tmp_path: Path) -> None:
    browser = client()
    post(browser, "/points/empty", name="mine")
    rows = [[float(x), float(y), int(x > 0), side] for x in (-1, 1) for y in range(-2, 3) for side in range(3)]
    said = post(browser, "/points/mine/fit", model="naive_bayes", points=json.dumps(rows))
    assert errors(said.json()["told"]) == ["0 of 10", "0 of 10", "0 of 10"]
    assert said.json()["regions"].count("<path") == 2
    assert len(PointSets(tmp_path / "workspace").get("mine").points) == 30
    empty = post(browser, "/points/mine/fit", model="knn", points="[]")
    assert "two classes must train" in empty.json()["told"]
    assert len(PointSets(tmp_path / "workspace").get("mine").points) == 0
    refused = post(browser, "/points/mine/fit", model="knn", points="[[1")
    assert refused.status_code == 400
    assert "damaged" in refused.json()["told"]


def test_a_table_comes_in_with_columns_of_its_own_and_sides_at_random(client: Client, tmp_path: Path) -> None:
    rows = "".join(f"{n},{n * n},{HTML if n % 2 else 'b'}\n" for n in range(50))
    browser = client()
    made = post(browser, "/points/upload", name="t", x="age", y="income", **{"class": "kind"},
                table=("t.csv", f"age,income,kind\n{rows}".encode()))  # fmt: skip
    assert made.headers["location"] == "/points/t"
    found = PointSets(tmp_path / "workspace").get("t")
    assert sorted(set(found.sides.tolist())) == [0, 1, 2]
    assert found.view == pytest.approx((-3.92, 52.92, -192.08, 2593.08))
    page = browser.get("/points/t", params={"model": "forest"}).text
    assert HTML not in page
    assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"x,y,class\n1,2,a\n1,oh,b\n", "line 3"), (b"", "empty"), (b"a,b\n1,2\n", "no column"),
     (b"x,y,class,split\n1,2,a,never\n", "side"), (b"\x00\x01", "zero bytes"),
     (b"x,y,class\n" + b"1,2,a\n" * (MOST + 1), "at most"), (b"x,y,class\n" + b"1,2,a\n" * 800_000, "at most"),
     (b"x,y,class\n" + b"".join(b"1,2,c%d\n" % n for n in range(9)), "8 classes")],
)  # fmt: skip
def test_a_table_that_cannot_be_used_says_why_and_leaves_nothing(
    client: Client, tmp_path: Path, content: bytes, words: str
) -> None:
    answer = post(client(), "/points/upload", name="t", table=("t.csv", content))
    assert answer.status_code == 400
    assert words in answer.text
    assert not (tmp_path / "workspace/points/t").exists()


@pytest.mark.parametrize("path", ["empty", "generator", "upload", "g/anew", "g/fit", "g/add", "g/class", "g/delete"])
def test_forms_of_others_change_nothing(client: Client, tmp_path: Path, path: str) -> None:
    browser = client()
    post(browser, "/points/empty", name="g")
    before = sorted((tmp_path / "workspace/points").rglob("*"))
    data = {"form": "x", "name": "other", "generator": "toroid", "points": "[[0,0,0,0]]", "x": "0", "y": "0",
            "class": "0", "side": "0", "train": "10", "dev": "10", "eval": "10"}  # fmt: skip
    files = {"table": ("t.csv", b"x,y,class\n1,2,a\n")} if path == "upload" else None
    assert browser.post(f"/points/{path}", data=data, files=files).status_code == 400
    assert sorted((tmp_path / "workspace/points").rglob("*")) == before
    assert len(PointSets(tmp_path / "workspace").get("g").points) == 0


@pytest.mark.parametrize("name", ["..", "../x", "A", "", "x" * 50, "-a"])
def test_names_lead_nowhere_else(client: Client, name: str) -> None:
    browser = client()
    assert "Not done" in post(browser, "/points/empty", name=name).text
    assert browser.get(f"/points/{name}/points.csv").status_code == 404


def test_a_ninth_class_is_refused_and_a_new_one_is_there(client: Client, tmp_path: Path) -> None:
    browser = client()
    post(browser, "/points/empty", name="g")
    for name in "cdefgh":
        post(browser, "/points/g/class", **{"class": name})
    assert "at most 8" in post(browser, "/points/g/class", **{"class": "i"}).text
    assert PointSets(tmp_path / "workspace").get("g").classes == tuple("abcdefgh")


# ---------------------------------------------------------------- drawings


def test_regions_are_runs_and_rows_begin_above() -> None:
    drawn = str(plane.regions(np.array([[0, 0, 1], [1, 1, 1], [0, 0, 0]], np.uint8)))
    assert '<path class="c0" d="M0 0h3v1h-3zM0 2h2v1h-2z"/>' in drawn
    assert '<path class="c1" d="M0 1h3v1h-3zM2 2h1v1h-1z"/>' in drawn


def test_the_boundary_of_two_equal_heaps_is_the_middle() -> None:
    x = np.linspace(-1, 1, 41)
    joint = np.stack([np.tile(np.exp(-((x - side) ** 2)), (41, 1)) for side in (-1, 1)], axis=-1)
    places = [float(x) for x in re.findall(r"[ML]([\d.]+) ", str(plane.boundary(joint)))]
    assert places == pytest.approx([240] * len(places), abs=0.2)
    assert len(places) > 10


def test_round_numbers_stand_on_the_axes() -> None:
    assert re.findall(r">([-\d.]+)</text>", str(plane.axes((-2.5, 2.5, 0, 100))))[:5] == ["-2", "-1", "0", "1", "2"]


def test_the_scripts_of_all_pages_are_below_a_hundred_kilobytes() -> None:
    import ctlr.ui

    scripts = (Path(ctlr.ui.__file__).parent / "static").glob("*.js")
    assert sum(file.stat().st_size for file in scripts) < 100_000
