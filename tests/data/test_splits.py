from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from ctlr.data.splits import Split, draw_split, read_targets, rows_of
from ctlr.data.store import ImageRecord
from ctlr.errors import ConfigError, DataError, LeakageError
from ctlr.specs import SplitSpec, TaskSpec

AGE = TaskSpec(target="age", kind="regression")
CLASS = TaskSpec(target="class", kind="classification")
SIDES = ("train", "validation", "test", "unlabelled")


def image(subject: str, session: str = "", **columns: str) -> ImageRecord:
    file = f"{subject}/{session}T1w.nii"
    return ImageRecord(subject=subject, session=session, file=file, sha256=file, columns=columns)


def cohort(n: int, unknown: int = 0, **more: Callable[[int], str]) -> list[ImageRecord]:
    """Ages 20 to 80 evenly, sexes in turn, the last `unknown` without an age."""
    return [
        image(
            f"sub-{i:04}",
            age="n/a" if i >= n - unknown else f"{20 + 60 * i / n:.2f}",
            sex="FM"[i % 2],
            **{column: value(i) for column, value in more.items()},
        )
        for i in range(n)
    ]


def draw(
    table: list[ImageRecord],
    spec: SplitSpec | None = None,
    *,
    n_train: int = 20,
    n_reserved: int = 50,
    seed: int = 0,
    task: TaskSpec = AGE,
) -> Split:
    targets = read_targets(table, task, "cohort")
    return draw_split(table, targets, spec or SplitSpec(), n_train=n_train, n_reserved=n_reserved, seed=seed)


def sides_of(split: Split) -> dict[str, str]:
    return {subject: side for side in SIDES for subject in getattr(split, side)}


# ---------------------------------------------------------------- who stands where


def test_sides_have_the_sizes_that_were_asked_for() -> None:
    split = draw(cohort(400, unknown=40))
    assert [len(getattr(split, side)) for side in SIDES] == [20, 20, 90, 400 - 20 - 50 - 90]


def test_a_test_set_can_be_a_number() -> None:
    assert len(draw(cohort(200), SplitSpec(test=30)).test) == 30


def test_only_the_pretraining_pool_holds_subjects_without_target() -> None:
    split = draw(cohort(400, unknown=40))
    unknown = {f"sub-{i:04}" for i in range(360, 400)}
    assert unknown <= set(split.unlabelled)


def test_a_split_refuses_a_subject_on_two_sides() -> None:
    with pytest.raises(ValidationError, match="'b' stands there twice"):
        Split(train=("a", "b"), validation=("c",), test=("b",), unlabelled=())


def test_scans_of_a_subject_go_together() -> None:
    table = [image(f"sub-{i:03}", s, age=str(20 + i % 60)) for i in range(120) for s in ("1", "2")]
    split = draw(table, n_reserved=20)
    rows = rows_of(table, split.train)
    assert len(split.train) == 20
    assert len(rows) == 40
    assert Counter(table[row].subject for row in rows) == dict.fromkeys(split.train, 2)


def test_the_first_scan_with_a_known_target_decides_the_stratum() -> None:
    table = [image(f"sub-{i:03}", "1", age="n/a") for i in range(100)]
    table += [image(f"sub-{i:03}", "2", age="20" if i < 50 else "80") for i in range(100)]
    split = draw(table, n_train=10, n_reserved=10)
    assert sum(int(s[4:]) < 50 for s in split.train) == 5


def test_a_class_is_there_to_train_on_where_any_image_of_a_subject_has_it() -> None:
    visits = [(i, s) for i in range(30) for s in range(4)]
    table = [image(f"sub-{i:03}", str(s), **{"class": "rest" if s < 3 else "seizure"}) for i, s in visits]
    assert len(draw(table, SplitSpec(test=10), n_train=10, n_reserved=5, task=CLASS).train) == 10
    sides = {i: "test" if i < 10 else "train" for i in range(30)}
    seen = {visit: "seizure" if visit == (0, 0) else "rest" for visit in visits}
    rare = [image(f"sub-{i:03}", str(s), split=sides[i], **{"class": seen[i, s]}) for i, s in visits]
    with pytest.raises(ConfigError, match="Class 'seizure' .* has 1 subjects, all on the test"):
        draw(rare, n_train=10, n_reserved=5, task=CLASS)


def test_rows_are_those_of_the_subjects_in_table_order() -> None:
    table = [image(s, age="1") for s in ("b", "a", "c", "a")]
    assert rows_of(table, ["a", "c"]).tolist() == [1, 2, 3]
    assert rows_of(table, []).tolist() == []


# ---------------------------------------------------------------- nesting and reproducibility


def test_smaller_sizes_lie_inside_larger_ones() -> None:
    table = cohort(400)
    splits = [draw(table, n_train=n, n_reserved=100) for n in (5, 20, 50, 100)]
    for small, large in pairwise(splits):
        assert set(small.train) < set(large.train)
        assert set(small.validation) < set(large.validation)
        assert small.test == large.test


def test_pretraining_sees_the_same_subjects_at_every_size() -> None:
    table = cohort(400)
    pools = [{*s.train, *s.unlabelled} for s in (draw(table, n_train=n, n_reserved=100) for n in (5, 100))]
    assert pools[0] == pools[1]


def test_validation_does_not_depend_on_the_other_sizes() -> None:
    table = cohort(400)
    assert draw(table, n_reserved=20).validation == draw(table, n_reserved=100).validation


def test_all_seeds_share_the_test_set_and_nothing_else() -> None:
    table = cohort(400)
    first, second = draw(table, seed=0), draw(table, seed=1)
    assert first.test == second.test
    assert first.train != second.train
    assert first.validation != second.validation


def test_the_split_seed_draws_another_test_set() -> None:
    table = cohort(400)
    assert draw(table).test != draw(table, SplitSpec(seed=1)).test


def test_the_order_of_the_table_does_not_matter() -> None:
    table = cohort(200, unknown=20) + [image(f"sub-{i:04}", "2", age="50", sex="F") for i in range(30)]
    shuffled = [table[i] for i in np.random.default_rng(3).permutation(len(table))]
    spec = SplitSpec(stratify=("sex",))
    assert draw(table, spec) == draw(shuffled, spec)
    assert draw(table, spec).identity() == draw(shuffled, spec).identity()


def test_new_names_in_the_same_order_change_names_only() -> None:
    table = cohort(200)
    renamed = [record.model_copy(update={"subject": record.subject.replace("sub-", "x")}) for record in table]
    split, other = draw(table), draw(renamed)
    for side in SIDES:
        assert [s.replace("sub-", "x") for s in getattr(split, side)] == list(getattr(other, side))


@pytest.mark.parametrize(
    ("n_train", "validation", "expected"), [(1, 1.0, 2), (20, 0.25, 5), (10, 0.04, 2), (20, 2.0, 40)]
)
def test_validation_follows_its_share_from_two_upwards(n_train: int, validation: float, expected: int) -> None:
    spec = SplitSpec(validation=validation)
    reserved = spec.n_validation(n_train)
    assert len(draw(cohort(200), spec, n_train=n_train, n_reserved=reserved).validation) == expected


# ---------------------------------------------------------------- strata


@pytest.mark.parametrize("seed", range(3))
def test_every_side_is_balanced_on_age_and_sex(seed: int) -> None:
    split = draw(cohort(400), SplitSpec(stratify=("sex",)), n_train=20, n_reserved=40, seed=seed)
    for side, n in (("train", 20), ("validation", 20), ("test", 100)):
        numbers = np.array([int(s[4:]) for s in getattr(split, side)])
        assert np.abs(np.bincount(numbers // 80, minlength=5) - n / 5).max() <= 1, side
        assert abs(np.sum(numbers % 2) - n / 2) <= 2, side


def test_classes_keep_their_shares_and_none_is_missed() -> None:
    table = [image(f"s{i:03}", **{"class": "rare" if i < 12 else "common"}) for i in range(240)]
    split = draw(table, n_train=20, n_reserved=20, task=CLASS)
    rare = {f"s{i:03}" for i in range(12)}
    assert len(rare & set(split.test)) == 3
    assert len(rare & set(split.train)) in (1, 2)
    assert rare & set(draw(table, n_train=2, n_reserved=20, task=CLASS).train)


def test_missing_cells_of_a_stratifying_column_are_a_stratum() -> None:
    table = cohort(200, hand=lambda i: ("left", "right", "n/a")[i % 3])
    split = draw(table, SplitSpec(stratify=("hand",)), n_train=30, n_reserved=30)
    assert all(abs(n - 10) <= 3 for n in Counter(int(s[4:]) % 3 for s in split.train).values())


@pytest.mark.parametrize("spec", [SplitSpec(stratify=("sx",)), SplitSpec(group="sx")])
def test_unknown_columns_are_named_with_the_nearest_known_one(spec: SplitSpec) -> None:
    with pytest.raises(ConfigError, match=r"split\.(stratify|group).*'cohort'.*'sx'.*Did you mean 'sex'"):
        draw(cohort(100), spec)


# ---------------------------------------------------------------- groups


@pytest.mark.parametrize("seed", range(3))
def test_families_never_stand_on_two_sides(seed: int) -> None:
    table = cohort(300, unknown=30, family=lambda i: f"f{i // 3}")
    split = draw(table, SplitSpec(group="family"), n_train=50, n_reserved=50, seed=seed)
    found: dict[int, set[str]] = {}
    for subject, side in sides_of(split).items():
        found.setdefault(int(subject[4:]) // 3, set()).add("learned" if side in ("train", "unlabelled") else side)
    assert all(len(sides) == 1 for sides in found.values())
    assert [len(split.train), len(split.validation)] == [50, 50]
    assert 68 <= len(split.test) <= 72


def test_sites_leave_what_a_side_does_not_need() -> None:
    table = cohort(400, site=lambda i: "abcd"[i % 4])
    split = draw(table, SplitSpec(group="site"), n_train=50, n_reserved=60)
    sites = {side: {int(s[4:]) % 4 for s in getattr(split, side)} for side in SIDES}
    assert len(split.test) == 100
    assert [len(sites[side]) for side in SIDES] == [2, 1, 1, 2]
    assert sites["train"] == sites["unlabelled"]
    assert len({*sites["train"], *sites["validation"], *sites["test"]}) == 4
    assert len(sides_of(split)) == 100 + 50 + 200  # the validation site's other 50 stand nowhere


def test_groups_keep_sizes_nested() -> None:
    table, spec = cohort(300, family=lambda i: f"f{i // 3}"), SplitSpec(group="family")
    small, large = (draw(table, spec, n_train=n, n_reserved=50) for n in (20, 50))
    assert set(small.train) < set(large.train)
    assert set(small.validation) < set(large.validation)


def test_a_subject_seen_at_two_sites_joins_them() -> None:
    table = cohort(120, site=lambda i: "abcde"[i % 5])
    table.append(image("sub-0000", "2", age="21", site="b"))  # sub-0000 was at site a before
    split = draw(table, SplitSpec(group="site"), n_train=10, n_reserved=10)
    sides = sides_of(split)
    joined = {side for subject, side in sides.items() if int(subject[4:]) % 5 in (0, 1)}
    assert joined in ({"train", "unlabelled"}, {"validation"}, {"test"})


def test_a_subject_without_a_group_is_named() -> None:
    table = cohort(100, site=lambda i: "n/a" if i == 7 else "a")
    with pytest.raises(DataError, match=r"split\.group.*'site'.*'cohort'.*'n/a' for 'sub-0007'\. Fill it in"):
        draw(table, SplitSpec(group="site"))


def test_too_few_groups_say_so() -> None:
    table = cohort(100, site=lambda i: "ab"[i % 2])
    with pytest.raises(ConfigError, match=r"whole groups of 'site' leave 0 to train on"):
        draw(table, SplitSpec(group="site"), n_reserved=10)


# ---------------------------------------------------------------- folders that are split already


def folders(*, val: bool = True, test: bool = True) -> list[ImageRecord]:
    sides = ["train"] * 60 + ["val" if val else "train"] * 20 + ["test" if test else "train"] * 20
    return [image(f"p{i:03}", split=side, **{"class": "ab"[i % 2]}) for i, side in enumerate(sides)]


def test_given_splits_are_kept() -> None:
    split = draw(folders(), n_train=10, n_reserved=10, task=CLASS)
    assert set(split.test) == {f"p{i:03}" for i in range(80, 100)}
    assert set(split.validation) < {f"p{i:03}" for i in range(60, 80)}
    assert {*split.train, *split.unlabelled} == {f"p{i:03}" for i in range(60)}
    assert len(split.validation) == 10


@pytest.mark.parametrize("names", [("TRAIN", "Val", "TEST"), ("training", "validation", "testing")])
def test_sides_in_a_table_are_called_as_folders_are(names: tuple[str, str, str]) -> None:
    called = dict(zip(("train", "val", "test"), names, strict=True))
    table = [
        record.model_copy(update={"columns": record.columns | {"split": called[record.columns["split"]]}})
        for record in folders()
    ]
    assert draw(table, n_train=10, n_reserved=10, task=CLASS) == draw(folders(), n_train=10, n_reserved=10, task=CLASS)


def test_validation_is_drawn_where_only_train_and_test_are_given() -> None:
    split = draw(folders(val=False), n_train=10, n_reserved=10, task=CLASS)
    assert set(split.test) == {f"p{i:03}" for i in range(80, 100)}
    assert len(split.validation) == 10
    assert len({*split.train, *split.unlabelled}) == 70


def test_a_test_set_is_drawn_where_only_train_and_val_are_given() -> None:
    split = draw(folders(test=False), n_train=10, n_reserved=10, task=CLASS)
    assert len(split.test) == 20
    assert not set(split.test) & {f"p{i:03}" for i in range(60, 80)}


def test_a_small_validation_folder_is_used_whole() -> None:
    assert len(draw(folders(), n_train=50, n_reserved=50, task=CLASS).validation) == 20


def test_a_column_named_split_with_other_values_is_none_of_ours() -> None:
    plain, named = cohort(100), cohort(100, split=lambda i: "discovery" if i % 2 else "replication")
    assert draw(plain) == draw(named)


def test_a_split_column_must_hold_a_side_for_every_image() -> None:
    table = [*folders(), image("p100", split="holdout", **{"class": "a"})]
    with pytest.raises(DataError, match=r"'split'.*train, val, test.*p100/T1w.nii.*'holdout'"):
        draw(table, task=CLASS)


def test_a_subject_in_two_given_splits_is_a_leak() -> None:
    table = [*folders(), image("p000", "2", split="test", **{"class": "a"})]
    with pytest.raises(LeakageError, match=r"'p000'.*'train' \(p000/T1w.nii\).*'test' \(p000/2T1w.nii\)"):
        draw(table, task=CLASS)


@pytest.mark.parametrize(("side", "rows"), [("val", range(60, 80)), ("test", range(80, 100))])
def test_a_given_split_without_known_targets_is_refused(side: str, rows: range) -> None:
    table = [
        image(record.subject, **{**record.columns, "class": "n/a" if i in rows else record.columns["class"]})
        for i, record in enumerate(folders())
    ]
    with pytest.raises(DataError, match=f"Split '{side}' of dataset 'cohort' holds no subject with target 'class'"):
        draw(table, n_train=10, n_reserved=10, task=CLASS)


# ---------------------------------------------------------------- more than there is


def test_more_than_the_cohort_names_every_number_and_the_remedy() -> None:
    with pytest.raises(
        ConfigError,
        match=re.escape(
            "`sample_sizes` asks for n_train=500 + 500 validation; dataset 'cohort' has 400 subjects with target "
            "'age', 100 of them for the test set: at most 150 can be trained on. "
            "Lower `sample_sizes`, `split.test` or `split.validation`."
        ),
    ):
        draw(cohort(400), n_train=500, n_reserved=500)


def test_the_greatest_possible_size_is_possible() -> None:
    split = draw(cohort(400), n_train=150, n_reserved=150)
    assert [len(getattr(split, side)) for side in SIDES] == [150, 150, 100, 0]
    with pytest.raises(ConfigError, match="at most 150"):
        draw(cohort(400), n_train=151, n_reserved=151)


def test_more_than_the_training_folder_holds_is_refused() -> None:
    with pytest.raises(ConfigError, match="its validation split leaves 60 to train on"):
        draw(folders(), n_train=61, n_reserved=61, task=CLASS)


def test_a_test_set_as_large_as_the_cohort_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"split\.test` asks for 100 test subjects; dataset 'cohort' has 100"):
        draw(cohort(100), SplitSpec(test=100))


def test_a_class_without_anyone_left_to_train_on_is_refused() -> None:
    table = [image(f"s{i:03}", **{"class": "rare" if i < 2 else "common"}) for i in range(100)]
    with pytest.raises(ConfigError, match=r"'rare' of target 'class'.*2 subjects.*none is left.*`classes`"):
        draw(table, n_train=10, n_reserved=10, task=CLASS)


def test_a_given_test_side_of_one_class_is_refused() -> None:
    """Whoever says that class to everyone would score best."""
    table = [image(f"p{i}", **{"class": "ab"[i % 2], "split": "train" if i < 40 else "test"}) for i in range(60)]
    assert len(draw(table, n_train=10, n_reserved=10, task=CLASS).test) == 20
    alone = [record for record in table if record.columns["split"] == "train" or record.columns["class"] == "a"]
    with pytest.raises(DataError, match="test side that dataset 'cohort' gives must hold two classes .* it holds 'a'"):
        draw(alone, n_train=10, n_reserved=10, task=CLASS)
