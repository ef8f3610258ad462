from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.data.strata import column_codes, draw_groups, is_missing, linked_groups, quantile_codes, stratified_order


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(("cell", "missing"), [("", True), ("n/a", True), ("NaN", True), ("0", False), ("left", False)])
def test_missing_cells_are_known_by_their_spelling(cell: str, missing: bool) -> None:
    assert is_missing(cell) is missing


def test_quantile_bins_are_equally_full_and_unknown_values_stand_apart() -> None:
    codes = quantile_codes(np.append(np.arange(100.0), np.nan), 5)
    assert np.bincount(codes[:100]).tolist() == [20, 20, 20, 20, 20]
    assert codes[100] == -1


def test_equal_values_share_a_quantile_bin() -> None:
    codes = quantile_codes(np.array([89.0] * 30 + [20.0, 30.0, 40.0]), 5)
    assert len(set(codes[:30])) == 1


def test_measurements_are_binned_but_codes_are_not() -> None:
    weights = [f"{50 + i}" for i in range(40)]
    sites = [f"{i % 12}" for i in range(40)]
    assert len(set(column_codes(weights, 5))) == 5
    assert len(set(column_codes(sites, 5))) == 12


def test_long_lists_of_text_keep_a_stratum_a_value() -> None:
    assert len(set(column_codes([f"town{i}" for i in range(30)], 5))) == 30


def test_missing_cells_of_a_column_are_a_stratum_of_their_own() -> None:
    assert column_codes(["F", "M", "n/a", "", "F"], 5).tolist() == [1, 2, -1, -1, 1]


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), seed=st.integers(0, 999))
def test_every_prefix_of_an_order_is_close_to_stratified(sizes: list[int], seed: int) -> None:
    strata = np.repeat(np.arange(len(sizes)), sizes)
    order = stratified_order([strata], rng(seed))
    assert sorted(order) == list(range(len(strata)))
    counts = np.cumsum(strata[order][:, None] == np.arange(len(sizes)), axis=0)
    wanted = np.arange(1, len(strata) + 1)[:, None] * np.array(sizes) / len(strata)
    assert np.abs(counts - wanted).max() <= len(sizes)


@pytest.mark.parametrize("seed", range(5))
def test_equal_strata_take_turns(seed: int) -> None:
    order = stratified_order([np.repeat(np.arange(5), 20)], rng(seed))
    for m in range(0, 100, 5):
        assert sorted(order[m : m + 5] // 20) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("seed", range(5))
def test_a_prefix_as_long_as_there_are_classes_holds_them_all(seed: int) -> None:
    classes = np.repeat(np.arange(4), [300, 5, 2, 1])
    assert sorted(classes[stratified_order([classes], rng(seed))[:4]]) == [0, 1, 2, 3]


@pytest.mark.parametrize("seed", range(5))
def test_a_second_key_is_balanced_within_the_first(seed: int) -> None:
    age, sex = np.repeat(np.arange(5), 40), np.tile(np.repeat([0, 1], 20), 5)
    chosen = stratified_order([age, sex], rng(seed))[:20]
    assert np.bincount(age[chosen]).tolist() == [4, 4, 4, 4, 4]
    for bin_ in range(5):
        assert np.bincount(sex[chosen][age[chosen] == bin_]).tolist() == [2, 2]


def test_rare_strata_come_early_as_often_as_they_are_common() -> None:
    sex = np.repeat([0, 1], [90, 10])
    age = np.zeros(100, np.int64)  # the first key's strata come first in any case; the second's do not
    met = [np.any(sex[stratified_order([age, sex], rng(seed))[:5]] == 1) for seed in range(400)]
    assert np.mean(met) == pytest.approx(0.5, abs=0.08)


def test_subjects_that_share_a_value_through_others_are_one_group() -> None:
    # 0 and 1 share site 0; 1 was at site 1 too, where 2 was; 3 is alone.
    groups = linked_groups(np.array([0, 1, 1, 2, 3]), np.array([0, 0, 1, 1, 2]), 4)
    assert groups.tolist() == [0, 0, 0, 1]


def test_a_long_chain_of_shared_values_is_one_group() -> None:
    owners = np.repeat(np.arange(50), 2)[1:-1]
    assert set(linked_groups(owners, np.arange(len(owners)) // 2, 50)) == {0}


def test_groups_are_chosen_whole_and_hold_what_was_asked() -> None:
    groups = np.repeat(np.arange(60), 3)
    members = draw_groups(groups, np.zeros(180, np.int64), np.ones(180, bool), 45, rng())
    assert members.sum() == 45
    assert all(members[groups == g].all() or not members[groups == g].any() for g in range(60))


def test_the_least_surplus_is_sought_among_unequal_groups() -> None:
    groups = np.repeat(np.arange(3), [500, 300, 100])
    members = draw_groups(groups, np.zeros(900, np.int64), np.ones(900, bool), 90, rng())
    assert members.sum() == 100


def test_chosen_groups_look_like_all() -> None:
    groups = np.repeat(np.arange(40), 5)
    strata = (groups % 2).astype(np.int64)  # half of the families are of one kind, half of the other
    members = draw_groups(groups, strata, np.ones(200, bool), 50, rng())
    assert np.bincount(strata[members]).tolist() == [25, 25]


def test_members_that_do_not_count_follow_their_group() -> None:
    groups, among = np.array([0, 0, 1, 1]), np.array([True, False, True, False])
    members = draw_groups(groups, np.zeros(4, np.int64), among, 1, rng())
    assert members.tolist() in ([True, True, False, False], [False, False, True, True])


def test_all_groups_are_taken_when_they_do_not_suffice() -> None:
    assert draw_groups(np.array([0, 1]), np.zeros(2, np.int64), np.ones(2, bool), 5, rng()).all()
