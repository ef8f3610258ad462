"""What a workspace's finished studies foretell of a benchmark."""

from pathlib import Path

import pytest
from pilot import BENCHMARK, pilot_folder

from ctlr.cli.detection import detected
from ctlr.config import load
from ctlr.errors import ConfigError
from ctlr.outcome.detection import Foretold, foretell
from ctlr.plan import make_plan


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pilot_folder(tmp_path_factory.mktemp("detect"))


def told(folder: Path, *overrides: str, workspace: str = "whole") -> list[Foretold]:
    config = load(folder / "small.yaml", overrides)
    return foretell(config, make_plan(config), folder / workspace, {"cohort": 300}, 1.5)


def test_seeds_and_test_subjects_follow_from_the_spread_of_finished_studies(folder: Path) -> None:
    rows = told(folder)
    assert [(row.n_train, row.comparisons, row.seen) for row in rows] == [(20, 4, (2, 3, 60)), (50, 4, (2, 3, 60))]
    for row in rows:
        assert (row.seeds, row.test_subjects, row.unit) == (3, 60, "years")
        assert row.detectable is not None
        assert row.detectable_alone is not None
        assert row.detectable > row.detectable_alone > 0
        grid = {(cell.seeds, cell.test_subjects): cell.gain for cell in row.grid}
        assert grid[3, 60] == row.detectable
        assert grid[3, 60] > grid[5, 60] > grid[10, 60] > grid[20, 60] > grid[20, 120] > grid[20, 240]


def test_the_seeds_that_are_said_to_be_needed_are_enough_and_one_fewer_are_not(folder: Path) -> None:
    needed = told(folder)[0].seeds_needed
    assert needed is not None
    assert needed > 3
    for seeds, enough in ((needed, True), (needed - 1, False)):
        detectable = told(folder, f"seeds={list(range(seeds))}")[0].detectable
        assert detectable is not None
        assert (detectable <= 1.5) is enough


def test_more_seeds_scatter_less_by_the_amount_that_was_put_in(folder: Path) -> None:
    """Of a difference of two methods: seeds 0.8^2 and subjects 2^2 / 60 a seed and method, none shared by seeds."""
    row = told(folder)[0]
    grid = {(cell.seeds, cell.test_subjects): cell.gain for cell in row.grid}
    expected = (2 * (0.8**2 + 2**2 / 60) / 20) ** 0.5 * 3.6  # normal quantiles at 0.05 / 4 and 80 %: 2.50 + 0.84
    assert grid[20, 60] == pytest.approx(expected, rel=0.5)  # a variance from three seeds


def test_a_cut_down_copy_at_other_seeds_tells_of_its_size_and_the_rest_is_not_invented(folder: Path) -> None:
    first, second = told(folder, workspace="pilot")
    assert first.seen == (2, 4, 60)
    assert (first.seeds, first.test_subjects) == (3, 60)
    assert (first.detectable or 0) > 0
    assert (second.seen, second.detectable, second.grid) == (None, None, ())
    config = load(folder / "small.yaml")
    found = detected(config, make_plan(config), Path("pilot"), {}, 1.5, Path("small.yaml"))
    assert found["pilot"] == "ctlr run small.yaml --set 'seeds=[0, 1, 2]' --workspace pilot"


def test_a_spread_needs_two_seeds_and_may_be_of_other_names_and_folders(folder: Path, tmp_path: Path) -> None:
    renamed = BENCHMARK.replace("supervised: {}", "from_sex: {method: supervised}")
    (tmp_path / "small.yaml").write_text(renamed)
    config = load(tmp_path / "small.yaml")
    (row, _) = foretell(config, make_plan(config), folder / "whole", {}, 1.5)
    assert row.seen == (2, 3, 60)
    (tmp_path / "other.yaml").write_text(renamed.replace("from_sex: {", "from_sex: {finetune: {lr: 0.02}, "))
    config = load(tmp_path / "other.yaml")
    (row, _) = foretell(config, make_plan(config), folder / "whole", {}, 1.5)
    assert row.seen == (1, 3, 60)  # other options are another method


def test_one_seed_gives_no_verdict(folder: Path) -> None:
    row = told(folder, "seeds=[0]")[0]
    assert (row.detectable, row.test_subjects_needed) == (None, None)
    assert (row.seeds_needed or 0) > 3


def test_other_test_subjects_change_what_is_seen(folder: Path) -> None:
    few, many = told(folder, "split.test=30")[0], told(folder)[0]
    assert (few.test_subjects, many.test_subjects) == (30, 60)
    assert (few.detectable or 0) > (many.detectable or 0)


def test_a_result_that_cannot_be_read_is_left_out(folder: Path, tmp_path: Path) -> None:
    damaged = pilot_folder(tmp_path)
    path = next((damaged / "whole" / "studies").glob("*/result.json"))
    path.write_text("")
    assert [row.seen is not None for row in told(damaged)] == [True, True]


def test_a_benchmark_of_scratch_alone_has_no_gains_to_detect(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(BENCHMARK.replace(", supervised: {}, simclr: {}", ""))
    with pytest.raises(ConfigError, match="`methods` has nothing else"):
        told(tmp_path)
