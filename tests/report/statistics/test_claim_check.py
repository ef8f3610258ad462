"""What stands beside a verdict in the table of gains, in its files and in the answer."""

import csv
import io
from typing import Any

import pytest

from ctlr.report.answer.headline import answer
from ctlr.report.gains.section import gains_table
from ctlr.report.numbers.contests import Contest, contests, load
from ctlr.report.numbers.rows import Rows, compute
from ctlr.report.statistics.claim_check import checks
from ctlr.report.statistics.estimates import Gain, VarianceParts
from ctlr.report.statistics.power import Spread, detectable_gain
from ctlr.report.theme.formats import to_csv, to_latex, to_markdown
from ctlr.report.wording import chance


@pytest.fixture(scope="module")
def contest(age: Any) -> Contest:
    (found,) = contests(load(age.results, age.root))
    return found


@pytest.fixture(scope="module")
def rows(contest: Contest) -> Rows:
    return compute(contest, level=0.95)


def gain(mean: float, *, seeds: int = 3, variance: float = 0.1) -> Gain:
    parts = VarianceParts(subjects=variance / 2, seeds=variance / 2, shared=0.0, n_subjects=100, n_seeds=seeds)
    half = parts.half_width(0.95)
    verdict = "not tested" if seeds == 1 else "gain" if mean > half else "negative transfer" if mean < -half else "none"
    return Gain(
        mean=mean, low=mean - half, high=mean + half, n_seeds=seeds, n_subjects=100, parts=parts, p=parts.p(mean),
        verdict=verdict,
    )  # fmt: skip


def test_a_claim_is_likelier_false_among_others_than_alone_and_losses_are_claims_too() -> None:
    table = checks([gain(1.6), gain(0.1), gain(-0.2), gain(0.0), gain(-1.6)], standing=0, level=0.95)
    found = [check for check in table if check is not None]
    assert found[0].false == pytest.approx(found[4].false, rel=0.01)
    assert found[0].false_alone == pytest.approx(gain(1.6).p / 2)
    assert 3 * found[0].false_alone < found[0].false < found[1].false


def test_what_is_detectable_follows_the_level_that_holm_leaves() -> None:
    table = [gain(1.0), gain(0.1), gain(0.2)]
    spread = Spread.of(table[1].parts)
    for standing, level in ((0, 0.05 / 3), (1, 0.05 / 2)):
        check = checks(table, standing, 0.95)[1]
        assert check is not None
        assert check.detectable == pytest.approx(detectable_gain(spread, level))
        assert check.detectable_alone == pytest.approx(detectable_gain(spread, 0.05))


def test_one_seed_is_not_checked_and_does_not_count() -> None:
    table = [gain(1.6), gain(0.3, seeds=1), gain(0.1)]
    alone = checks([table[0], table[2]], 0, 0.95)
    assert checks(table, 0, 0.95) == [alone[0], None, alone[1]]


def test_a_difference_that_never_varies_is_sure(contest: Contest) -> None:
    (same,) = checks([gain(0.0, variance=0.0)], 0, 0.95)
    assert same is not None
    assert (same.false, same.detectable) == (1.0, 0.0)


def test_each_claim_has_its_probability_and_each_other_row_what_it_would_show(contest: Contest, rows: Rows) -> None:
    table = gains_table(contest, rows)
    assert table.columns[-2:] == ("False", "Would be seen")
    for row, cells in zip(sorted(rows.gains, key=lambda row: row.n_train), table.rows, strict=True):
        false, seen = cells[-2:]
        assert row.check is not None
        assert false.text == (chance(row.check.false) if row.gain.shown else "–")
        assert (seen.text == "–") is row.stands
        if not row.stands:
            assert (seen.text, seen.note) == (f"{row.check.detectable:.1f}", f"{row.check.detectable_alone:.1f} alone")
    assert sum(cells[-2].text != "–" for cells in table.rows) >= 2
    for written in (to_markdown(table), to_latex(table)):
        assert "False" in written
        assert "Would be seen" in written


def test_the_file_has_both_probabilities_and_both_gains(contest: Contest, rows: Rows) -> None:
    lines = list(csv.DictReader(io.StringIO(to_csv(gains_table(contest, rows)))))
    for line in lines:
        claimed = line["verdict"] in ("gain", "negative transfer")
        assert bool(line["false_claim"]) is bool(line["false_claim_alone"]) is claimed
        if claimed:
            assert float(line["false_claim_alone"]) == pytest.approx(float(line["p"]) / 2, rel=1e-4)
        assert float(line["detectable"]) > float(line["detectable_alone"]) > 0


def test_the_answer_says_how_likely_the_least_certain_claim_is_false_and_what_would_have_been_seen(
    contest: Contest, rows: Rows
) -> None:
    notes = " ".join(answer(contest, rows).notes).replace("\u00a0", " ")
    standing = [row for row in rows.gains if row.stands and row.check]
    worst = max(standing, key=lambda row: row.check.false if row.check else 0)
    assert worst.check is not None
    where = f"‘{worst.method}’ at {contest.labelled(worst.n_train)}"
    said = f"Of these {len(standing)} claims the least certain, {where}, is false with a"
    assert f"{said} probability of {chance(worst.check.false)}.".replace("\u00a0", " ") in notes
    unseen = max(row.check.detectable for row in rows.gains if row.n_train == 100 and row.check and not row.stands)
    assert f"{unseen:.1f} years at 100 + 100 on; smaller ones may be there." in notes


def test_chances_are_read_in_per_cent() -> None:
    words = [chance(value).replace("\u00a0", " ") for value in (0.0, 0.0009, 0.0123, 0.099, 0.123, 1.0)]
    assert words == ["< 0.1 %", "< 0.1 %", "1.2 %", "9.9 %", "12 %", "100 %"]
