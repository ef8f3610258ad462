from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from finished_bench import finished
from transfer_study import PAIRS, distances_of, scores_of

from ctlr.report.numbers.contests import Contest, contests, load
from ctlr.report.numbers.rows import Rows, compute
from ctlr.report.page import build_report
from ctlr.report.pairs.plots import score_plot
from ctlr.report.pairs.rows import PairGain, foretold, pair_gains, pair_names, races
from ctlr.report.pairs.section import PairView, pair_view
from ctlr.report.pairs.tables import distance_table, scores_beside_gains
from ctlr.specs import TransferScores

RIGHT = (-0.2, -0.6, -1.0, -0.4)
"""In the order of the gains."""
WRONG = (-1.0, -0.4, -0.2, -0.6)
"""In the opposite order."""


@dataclass(frozen=True)
class Computed:
    """A contest with its rows."""

    contest: Contest
    rows: Rows


@pytest.fixture(scope="module")
def views(four_pairs: Any) -> list[Computed]:
    return [
        Computed(contest, compute(contest, level=0.95))
        for contest in contests(load(four_pairs.results, four_pairs.root))
    ]


@pytest.fixture(scope="module")
def gains(views: list[Computed]) -> list[PairGain]:
    return pair_gains(views, level=0.95)


def transfers(benchmark: Any, leep: Sequence[float], nce: Sequence[float] = WRONG) -> list[TransferScores]:
    """Scores of every pretraining, with a little between the seeds, and distances that put all pairs alike."""
    found, seen = [], set()
    for result in benchmark.results:
        study = result.study
        if study.source is None:
            continue
        pair = tuple(f"{end.data.name}.{end.task.name}" for end in (study.source, study.target))
        if (pair, study.seed) in seen:
            continue
        seen.add((pair, study.seed))
        place = PAIRS.index(pair)
        found.append(scores_of(study, {"leep": leep[place] + 0.01 * (study.seed - 1), "nce": nce[place]}))
        if study.seed == 0:
            found.append(distances_of(study, 20.0))
    return found


def seen(views: list[Computed], found: Sequence[TransferScores]) -> PairView:
    view = pair_view(views, found, Path(), bootstrap=200, level=0.95)
    assert view is not None
    return view


# ---------------------------------------------------------------- gains by pair


def test_validation_chooses_who_stands_for_a_pair(gains: list[PairGain]) -> None:
    assert [each.pair for each in gains] == [PAIRS[0], PAIRS[2], PAIRS[1], PAIRS[3]]
    assert {each.row.method for each in gains} == {"w0.3-lr0.001"}
    assert {each.candidates for each in gains} == {5}
    assert [round(each.row.gain.mean, 2) for each in gains] == pytest.approx([0.26, -0.06, 0.06, 0.16])


def test_a_verdict_is_adjusted_for_all_pairs(gains: list[PairGain]) -> None:
    assert [each.row.direction for each in gains] == ["gain", "none", "none", "gain"]
    smallest = min(each.row.gain.p for each in gains)
    assert min(each.row.p_holm for each in gains) == pytest.approx(4 * smallest)


def test_names_leave_out_what_all_pairs_share() -> None:
    assert set(pair_names(PAIRS).values()) == {
        "letters → letters", "letters → things", "things → letters", "things → things",
    }  # fmt: skip
    assert pair_names([("a.x", "b.y"), ("c.z", "b.y")]) == {("a.x", "b.y"): "a.x → y", ("c.z", "b.y"): "c.z → y"}


def test_one_seed_tests_no_pair(four_pairs: Any) -> None:
    alone = [result for result in four_pairs.results if result.study.seed == 0]
    found = [Computed(each, compute(each, level=0.95)) for each in contests(load(alone, four_pairs.root))]
    view = seen(found, [])
    assert view.verdict == "One seed supports no verdict, so no gain is called one."
    assert {(row[-2].text, row[-2].note, row[-1].text) for row in view.tables["pairs"].rows} == {
        ("not tested", "one seed", "–")
    }


def test_one_pair_alone_has_no_section(views: list[Computed]) -> None:
    assert pair_view(views[:1], [], Path(), bootstrap=200, level=0.95) is None


def test_without_scores_the_gains_stand_alone(views: list[Computed]) -> None:
    view = seen(views, [])
    assert set(view.tables) == {"pairs"}
    assert view.findings == ()
    assert view.verdict == (
        "Of 4 comparisons with training from scratch, of each pair, kind and size by the method that is best on "
        "validation, all taken together, gains: 2; negative transfer: none."
    )


# ---------------------------------------------------------------- scores


def test_scores_are_means_over_the_seeds_beside_the_gain(four_pairs: Any, gains: list[PairGain]) -> None:
    (race,) = races(gains, transfers(four_pairs, RIGHT))
    assert race.scores[PAIRS[0]]["leep"] == pytest.approx(RIGHT[0])
    assert race.ranges[PAIRS[0]]["leep"] == (pytest.approx(RIGHT[0] - 0.01), pytest.approx(RIGHT[0] + 0.01))
    table = scores_beside_gains([race], pair_names(PAIRS), level=0.95)
    assert table.columns == ("Pair", "n", "Gain", "LEEP", "NCE", "Modified Hausdorff", "Hausdorff")
    assert table.records[0]["hausdorff_modified_forward"] == 20.0
    assert (table.rows[0][0].text, table.rows[0][3].text) == ("letters → letters", "−0.200")


def test_what_promises_rightly_and_wrongly_is_told_apart(four_pairs: Any, gains: list[PairGain]) -> None:
    rows = {row.score: row for row in foretold(races(gains, transfers(four_pairs, RIGHT)), bootstrap=200, level=0.95)}
    for score, expected in (("leep", 1.0), ("nce", -1.0)):
        ranks = rows[score].ranks
        assert ranks is not None
        assert ranks.spearman == pytest.approx(expected)
        assert ranks.p == pytest.approx(1 / 12)
        # Two scores differ between pairs; equal distances correlate with nothing.
        assert rows[score].p_holm == pytest.approx(2 / 12)
    assert rows["hausdorff_modified"].ranks is None
    assert rows["leep"].left_out is not None
    assert rows["leep"].left_out.better
    assert rows["nce"].left_out is not None
    assert not rows["nce"].left_out.better


def test_the_page_says_that_a_perfect_order_of_four_pairs_may_be_chance(four_pairs: Any, views: list[Computed]) -> None:
    first, second = seen(views, transfers(four_pairs, RIGHT)).findings
    assert first.startswith("At n = 48 + 48 (balanced accuracy, small) LEEP foretold left-out pairs best: off by 0.0")
    assert first.endswith("with 4 pairs, the best of 4 scores may do as well by chance.")
    assert "once in 12 times. No score can be shown to predict here" in second


def test_the_page_says_plainly_that_no_score_predicted(four_pairs: Any, views: list[Computed]) -> None:
    findings = seen(views, transfers(four_pairs, WRONG)).findings
    assert findings[0] == (
        "No score predicted the gain better than the mean of the other pairs at n = 48 + 48 (balanced accuracy, small)."
    )


def test_two_pairs_are_too_few_to_tell(four_pairs: Any, views: list[Computed]) -> None:
    view = seen(views[:2], transfers(four_pairs, RIGHT))
    assert view.findings == (
        "At n = 48 + 48 (balanced accuracy, small) fewer than 3 pairs can be compared: too few to tell whether a score "
        "foretold anything.",
    )
    assert "scores" in view.tables


def test_scores_that_could_not_be_computed_are_listed_once_a_pair(four_pairs: Any, views: list[Computed]) -> None:
    table = seen(views, transfers(four_pairs, RIGHT)).tables["left_out"]
    assert [row[0].text for row in table.rows] == ["H-score"] * 4


def test_the_nearest_source_class_of_each_target_class_stands_out(four_pairs: Any) -> None:
    study = next(result.study for result in four_pairs.results if result.study.source is not None)
    table = distance_table(distances_of(study, 20.0), pair_names(PAIRS))
    # Rows are alike, so the first class is the nearest; the larger of both directions is shown.
    assert [cell.text for cell in table.rows[0][1:]] == ["20.0", "21.0", "21.0", "20.0"]
    assert {cell.tone for cell in table.rows[0][1:]} == {"best"}
    assert {cell.tone for row in table.rows[1:] for cell in row} == {""}
    assert "6 images a class on 24 joint principal components with 90\u00a0% of the variance" in table.caption


def test_a_drawing_names_its_pairs_in_words_too(four_pairs: Any, gains: list[PairGain]) -> None:
    row = foretold(races(gains, transfers(four_pairs, RIGHT)), bootstrap=200, level=0.95)[0]
    drawn = score_plot(row, pair_names(PAIRS), label="Gain", name="p")
    assert "letters → letters: score −0.200, gain +0.258" in drawn.alt
    assert drawn.svg.count(">things → things</text>") == 1
    assert "<title>things → things\nLEEP " in drawn.svg


def test_the_report_holds_it_all_and_its_tables(read: Callable[[Path], Any], four_pairs: Any, tmp_path: Path) -> None:
    page = build_report(finished(four_pairs, transfers=tuple(transfers(four_pairs, RIGHT))), tmp_path)
    text = read(page).text
    for words in ("Which transfers gain", "Did anything predict the gain?", "How far apart the images lie",
                  "Scores of a transfer", "Second (letters), transfer from first (things)"):  # fmt: skip
        assert words in text
    names = {file.stem for file in (tmp_path / "tables").iterdir()}
    assert {"pairs", "transfer-scores", "transfer-foretold", "transfer-left-out"} <= names
    assert "distances-letters-first-things-second" in names


def test_a_pair_without_a_score_is_left_out_of_that_score_alone(four_pairs: Any, gains: list[PairGain]) -> None:
    found = transfers(four_pairs, RIGHT)
    lost = [each for each in found if not np.isclose(each.scores.get("leep", 0.0), RIGHT[0], atol=0.02)]
    (race,) = races(gains, lost)
    rows = {row.score: row for row in foretold([race], bootstrap=200, level=0.95)}
    assert PAIRS[0] not in rows["leep"].pairs
    assert len(rows["hausdorff_modified"].pairs) == 4


def test_gains_in_years_and_in_shares_are_not_compared(age: Any, digits: Any) -> None:
    loaded = [item for benchmark in (age, digits) for item in load(benchmark.results, benchmark.root)]
    found = [Computed(each, compute(each, level=0.95)) for each in contests(loaded)]
    studies = {result.study.target.task.name: result.study for result in (age.results[-1], digits.results[-1])}
    measured = [distances_of(study, 20.0) for study in studies.values()]
    groups = races(pair_gains(found, level=0.95), measured)
    assert {(race.metric, race.n_train, len(race.gains)) for race in groups} == {
        ("mae", 20, 1), ("mae", 50, 1), ("mae", 100, 1), ("balanced_accuracy", 20, 1), ("balanced_accuracy", 60, 1),
    }  # fmt: skip
    # Supervised pretraining and SimCLR each have their verdict on a pair; scores are held against the former.
    assert {each.kind for each in pair_gains(found, level=0.95)} == {"supervised", "simclr"}
    assert {each.kind for race in groups for each in race.gains} == {"supervised"}
