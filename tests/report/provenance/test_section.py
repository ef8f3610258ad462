"""What it takes to make the numbers again, on the page."""

from __future__ import annotations

import csv
import hashlib
import html
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from finished_bench import finished

from ctlr.report.finished import Finished
from ctlr.report.page import build_report
from ctlr.specs import StoredArrays

TYPED = "ctlr run \"$HOME\"/study.yaml --set 'seeds=[0, 1]'"


@pytest.fixture
def ran(new_benchmark: Callable[..., Any], tmp_path: Path) -> Finished:
    benchmark = new_benchmark(methods=("scratch", "supervised"), sizes=(20,), seeds=(0, 1))
    stored = StoredArrays(fingerprint="ab12", path="arrays/ab12", rows=400, subjects=400, shape=(1, 32, 32, 32),
                          dtype="float16")  # fmt: skip
    results = [
        result.model_copy(update={
            "device": "cpu bf16 channels_last_3d", "weights": "e" * 64,
            "pretrain_device": "cpu float32 contiguous_format" if result.pretraining else "",
            "pretrain_weights": "f" * 64 if result.pretraining else "",
        })
        for result in benchmark.results
    ]  # fmt: skip
    benchmark.results = results
    return finished(
        benchmark, environment={"ctlr": "0.1.0", "ctlr_code": "sha256 00ff", "cores": "2"}, typed=TYPED,
        folder=tmp_path, arrays={"cohort": stored},
    )  # fmt: skip


def test_the_command_stands_as_it_was_typed_and_what_runs_the_file_below_it(
    read: Callable[[Path], Any], ran: Finished, tmp_path: Path
) -> None:
    page = build_report(ran, tmp_path / "out")
    assert f"It was run by {TYPED}" in read(page).text
    assert html.unescape(page.read_text()).count("ctlr run Brain age.yaml") == 1


def test_with_names_for_paths_there_is_no_command_and_no_folder(
    read: Callable[[Path], Any], ran: Finished, tmp_path: Path
) -> None:
    report = ran.config.report.model_copy(update={"paths": "names"})
    quiet = replace(ran, config=ran.config.model_copy(update={"report": report}))
    text = read(build_report(quiet, tmp_path / "out")).text
    assert "It was run by" not in text
    assert TYPED not in (tmp_path / "out" / "report.json").read_text()


def test_every_stage_says_what_it_was_computed_in(read: Callable[[Path], Any], ran: Finished, tmp_path: Path) -> None:
    text = read(build_report(ran, tmp_path / "out")).text
    for row in (
        "images as they are stored ‘cohort’ float16 400", "pretraining small cpu float32 contiguous_format 2",
        "finetuning small cpu bf16 channels_last_3d 4", "prediction every encoder float32 4",
        "scores and intervals every study float64 4",
    ):  # fmt: skip
        assert row in text


def test_hashes_are_of_file_code_data_splits_and_weights(
    read: Callable[[Path], Any], ran: Finished, tmp_path: Path
) -> None:
    page = build_report(ran, tmp_path / "out")
    text = read(page).text
    printed = html.unescape(re.findall(r"<pre><code>(.*?)</code></pre>", page.read_text(), re.DOTALL)[-1])
    assert f"benchmark file as printed here, SHA-256 {hashlib.sha256(printed.encode()).hexdigest()}" in text
    assert "code of CTLR, SHA-256 cut short 00ff" in text
    assert f"weights of the pretraining of ‘supervised’, seed 0, SHA-256 {'f' * 64}" in text
    with (page.parent / "tables" / "weights.csv").open() as stream:
        assert [row["sha256"] for row in csv.DictReader(stream)] == ["e" * 64] * 4


def test_another_command_is_another_report_and_the_same_one_is_not(ran: Finished) -> None:
    assert replace(ran, typed="ctlr run other.yaml").identity() != ran.identity()
    assert replace(ran, folder=Path("/elsewhere")).identity() == ran.identity()
