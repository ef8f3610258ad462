from pathlib import Path
from typing import Any

from finished_bench import finished

from ctlr.report.compared.tables import targets_table
from ctlr.report.page import build_report
from ctlr.specs import TargetSummary

AGE = TargetSummary(
    data="study", task="age", column="age_at_scan", images=40, known=38, unit="months", low=20.125,
    median=51, high=79.5,
    warnings=("1 image has -9999, which may be a code for unknown. Write n/a if it is.",),
)  # fmt: skip
SEX = TargetSummary(data="study", task="sex", column="sex", images=40, known=40, classes={"F": 21, "M": 19})


def test_each_target_has_a_row_with_its_range_or_its_classes() -> None:
    rows = [[cell.text for cell in row] for row in targets_table([AGE, SEX]).rows]
    assert rows == [
        ["study", "age", "age_at_scan", "38 of 40", "20.12 to 79.5 months, median 51", AGE.warnings[0]],
        ["study", "sex", "sex", "40 of 40", "F 21, M 19", "–"],
    ]


def test_the_report_shows_targets_and_what_may_not_be_meant(new_benchmark: Any, read: Any, tmp_path: Path) -> None:
    benchmark = new_benchmark(methods=("scratch",), sizes=(20,), seeds=(0,))
    text = read(build_report(finished(benchmark, targets=(AGE, SEX)), tmp_path)).text
    assert "20.12 to 79.5 months, median 51" in text
    assert AGE.warnings[0] in text
    assert "F 21, M 19" in text
    assert (tmp_path / "tables/targets.csv").read_text().count("\n") == 3
