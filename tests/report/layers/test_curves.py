import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from finished_bench import finished

from ctlr.methods.mean import MeanSpec
from ctlr.methods.scratch import ScratchSpec
from ctlr.methods.selffer import SelfferSpec
from ctlr.methods.supervised import SupervisedSpec
from ctlr.report.layers.curves import layer_plot, layer_rows, layer_table, layer_view
from ctlr.report.numbers.contests import Contest, contests, load
from ctlr.report.numbers.rows import Rows, compute
from ctlr.report.page import build_report
from ctlr.report.theme.formats import to_csv
from ctlr.specs import AnyMethod, FinetuneSpec, LayerRole, layer_label

BASE = 0.60
ACCURACY = {
    "AnB": (0.60, 0.60, 0.50, 0.30), "AnB+": (0.60, 0.64, 0.70, 0.78),
    "BnB": (0.60, 0.60, 0.58, 0.60), "BnB+": (0.60, 0.60, 0.60, 0.60),
}  # fmt: skip


def network(role: LayerRole) -> AnyMethod:
    kind = SupervisedSpec if role.origin == "A" else SelfferSpec
    finetune = FinetuneSpec(n_copied=role.n_blocks, n_frozen=0 if role.moving else role.n_blocks)
    return kind(label=layer_label(role), finetune=finetune)


def experiment() -> Iterator[tuple[AnyMethod, float]]:
    """Every network of four blocks with its share of right answers."""
    yield MeanSpec(label="mean"), 0.2
    yield ScratchSpec(label="scratch"), BASE
    for family, shares in ACCURACY.items():
        for n_blocks, share in enumerate(shares, start=1):
            yield network(LayerRole("A" if family[0] == "A" else "B", n_blocks, family.endswith("+"))), share


@pytest.fixture(scope="module")
def transfer(digits_of: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    return digits_of(tmp_path_factory.mktemp("layers"), experiment())


@pytest.fixture(scope="module")
def computed(transfer: Any) -> tuple[Contest, Rows]:
    (contest,) = contests(load(transfer.results, transfer.root))
    return contest, compute(contest, level=0.95)


def test_each_network_stands_on_its_curve_with_its_score(computed: tuple[Contest, Rows]) -> None:
    rows = layer_rows(*computed)
    found = {family: [r.estimate.mean for r in rows if r.role.family == family] for family in ACCURACY}
    assert found == {family: pytest.approx(shares) for family, shares in ACCURACY.items()}
    assert [row.role.n_blocks for row in rows] == [1, 2, 3, 4] * 4


def test_findings_say_at_which_depths_a_curve_leaves_base_b(computed: tuple[Contest, Rows]) -> None:
    view = layer_view(*computed)
    assert view is not None
    kept, moving, *target = view.findings
    assert kept.startswith("AnB (from the source, kept): worse than base B with")
    assert kept.endswith("4 blocks.")
    assert "better than base B with" in moving
    assert moving.endswith("4 blocks.")
    assert target[1] == "BnB+ (from the target, moving): nowhere to be told from base B."


def test_one_seed_tells_no_curve_from_base_b(transfer: Any) -> None:
    alone = [result for result in transfer.results if result.study.seed == 0]
    (contest,) = contests(load(alone, transfer.root))
    found = layer_view(contest, compute(contest, level=0.95))
    assert found is not None
    assert all(finding.endswith(": not tested against base B (one seed).") for finding in found.findings)
    assert "(over subjects only)" in layer_table(contest, compute(contest, level=0.95)).caption


def test_the_drawing_names_every_curve_and_its_base_in_words(computed: tuple[Contest, Rows]) -> None:
    rows = layer_rows(*computed)
    drawn = layer_plot(rows, None, label="Balanced accuracy", better="higher", name="layers", labelled="24 + 24")
    assert "AnB (from the source, kept): 0.600 with 1, 0.600 with 2, 0.500 with 3, 0.300 with 4" in drawn.alt
    assert "base B" not in drawn.alt
    assert drawn == layer_plot(
        rows, None, label="Balanced accuracy", better="higher", name="layers", labelled="24 + 24"
    )


def test_the_table_has_one_record_a_network(computed: tuple[Contest, Rows]) -> None:
    table = layer_table(*computed)
    records = list(csv.DictReader(io.StringIO(to_csv(table))))
    last = next(r for r in records if r["curve"] == "AnB" and r["copied_blocks"] == "4")
    assert len(records) == 16
    assert (last["copied_from"], last["moving"], last["verdict"]) == ("source", "no", "negative transfer")
    assert (float(last["mean"]), float(last["gain"])) == pytest.approx((0.3, -0.3))
    assert [row[1].text for row in table.rows] == ["1", "2", "3", "4"]


def test_a_method_with_a_name_of_its_own_belongs_to_no_layer_transfer(
    digits_of: Callable[..., Any], tmp_path: Path
) -> None:
    own = network(LayerRole("A", 2, moving=True)).model_copy(update={"label": "mine"})
    misnamed = network(LayerRole("A", 2, moving=True)).model_copy(update={"label": "A3B"})
    methods = (ScratchSpec(label="scratch"), own, misnamed)
    benchmark = digits_of(tmp_path, [(method, 0.6) for method in methods], seeds=(0,))
    (contest,) = contests(load(benchmark.results, tmp_path))
    assert layer_view(contest, compute(contest, level=0.95)) is None


def test_the_page_draws_the_networks_in_their_own_section_alone(transfer: Any, tmp_path: Path) -> None:
    page = build_report(finished(transfer), tmp_path)
    text = page.read_text()
    (slug,) = [path.stem.removeprefix("layers-") for path in (tmp_path / "tables").glob("layers-*.csv")]
    assert f'<h3>Layer transfer</h3></summary>\n<div id="{slug}-layers">' in text
    curves = text.split(f'id="{slug}-scores"')[1].split("<details>")[0]
    assert "A1B: 0." not in curves.split("</svg>")[0]
    assert text.count('<p class="method">') == 2  # predictions and history of scratch
