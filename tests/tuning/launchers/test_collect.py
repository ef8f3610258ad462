"""Metrics out of text and JSON, as Katib's collectors read them."""

import itertools
import math
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.errors import ConfigError
from ctlr.specs import Collector
from ctlr.tuning.launchers import Metrics, MetricsReader, Tally
from ctlr.tuning.launchers.collect import DEFAULT_FILTER, FileTail

NAMES = ("loss", "val_acc")


def read(text: str | bytes, names: tuple[str, ...] = NAMES, **collector: object) -> list[Metrics]:
    """Read a whole output at once."""
    reader = MetricsReader(Collector(**collector), names)  # type: ignore[arg-type]
    return [*reader.feed(text.encode() if isinstance(text, str) else text), *reader.finish()]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("loss=0.5", [{"loss": 0.5}]),
        ("loss = -1.5e-3", [{"loss": -0.0015}]),
        ("2026-11-20T09:30:00.123456789Z loss=0.5", [{"loss": 0.5}]),
        ("epoch 3: loss=0.5, val_acc=0.75 lr=0.1", [{"loss": 0.5, "val_acc": 0.75}]),
        ("{metricName: loss, metricValue: 0.5}", []),
        ("train/loss=0.5", [{"loss": 0.5}]),
        ("train_loss=0.5", []),
        ("loss: 0.5", []),
        ("loss=0.5 loss=0.25", [{"loss": 0.5}, {"loss": 0.25}]),
        ("loss=1val_acc=2", [{"loss": 1.0, "val_acc": 2.0}]),
    ],
)
def test_katibs_own_filter_reads_what_it_reads_there(line: str, found: list[Metrics]) -> None:
    assert read(line) == found


@pytest.mark.parametrize("text", ["nan", "inf", "", "unknown"])
def test_what_is_no_number_for_the_filter_is_nan(text: str) -> None:
    (found,) = read(f"loss={text}")
    assert math.isnan(found["loss"])


def test_own_filters_say_where_name_and_value_stand() -> None:
    filters = (r"\{metricName: ([\w|-]+), metricValue: ((-?\d+)(\.\d+)?)\}", r"(loss):\s*(\S+)")
    assert read("{metricName: val_acc, metricValue: 0.5}\nloss: inf", filters=filters) == [
        {"val_acc": 0.5},
        {"loss": math.inf},
    ]


def test_a_number_that_two_filters_find_is_one_report() -> None:
    assert read("loss=0.5", filters=(DEFAULT_FILTER, r"(loss)=(\S+)")) == [{"loss": 0.5}]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"loss": "0.5", "val_acc": "1e-1", "epoch": "3"}', [{"loss": 0.5, "val_acc": 0.1}]),
        ('{"loss": 0.5}', []),
        ('{"loss": null, "val_acc": "1"}', [{"val_acc": 1.0}]),
        ('["loss"]', []),
        ("loss=0.5", []),
        ("[" * 5000 + '"loss"', []),
    ],
)
def test_json_is_one_object_a_line_and_its_values_are_strings(line: str, found: list[Metrics]) -> None:
    assert read(line, format="JSON") == found


def test_a_progress_bars_lines_end_by_a_carriage_return() -> None:
    reader = MetricsReader(Collector(), NAMES)
    assert reader.feed(b"\rloss=3\rloss=2\rlo") == [{"loss": 3.0}, {"loss": 2.0}]
    assert reader.feed(b"ss=1\n") == [{"loss": 1.0}]


def test_the_end_of_a_very_long_line_is_dropped() -> None:
    reader = MetricsReader(Collector(), NAMES)
    for _ in range(100):
        assert reader.feed(b"loss" * 16_384) == []
    assert reader.feed(b" loss=1\nloss=2\n") == [{"loss": 2.0}]


LINES = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.builds("{}={}".format, st.sampled_from(["loss", "val_acc", "x"]), st.floats(-9, 9)),
        st.sampled_from(["", "loss", "=", "loss=", " ", "\r", "1loss=3", "|-loss=2"]),
    ),
    max_size=8,
)


@settings(max_examples=80, deadline=None)
@given(LINES, st.lists(st.integers(0, 200), max_size=6))
def test_what_is_read_does_not_depend_on_how_the_output_comes(lines: list[str], cuts: list[int]) -> None:
    data = "\n".join(lines).encode()
    reader, found, places = MetricsReader(Collector(), NAMES), [], [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(places):
        found += reader.feed(data[start : max(end, start)])
    assert repr(found + reader.finish()) == repr(read(data))


@settings(max_examples=80, deadline=None)
@given(LINES)
def test_every_match_of_the_filter_is_read_and_nothing_else(lines: list[str]) -> None:
    text = "\n".join(lines)
    expected = [
        (match[1], match[2])
        for line in re.split(r"[\r\n]", text)
        for match in re.finditer(DEFAULT_FILTER, line, re.ASCII)
        if match[1] in NAMES
    ]
    found = [pair for metrics in read(text) for pair in metrics.items()]
    assert [name for name, _ in found] == [name for name, _ in expected]
    for (_, value), (_, written) in zip(found, expected, strict=True):
        try:
            assert value == float(written)
        except ValueError:
            assert math.isnan(value)


def test_a_tally_keeps_each_metric_by_its_strategy() -> None:
    tally = Tally({"low": "min", "high": "max", "last": "latest"})
    for value in (2.0, 1.0, 3.0, 2.5):
        tally.add({"low": value, "high": value, "last": value})
    assert tally.metrics() == {"low": 1.0, "high": 3.0, "last": 2.5}


def test_a_file_is_followed_from_before_it_exists(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "metrics.log"
    tail = FileTail(path)
    assert tail.read() == b""
    path.write_text("loss=1\n")
    assert tail.read() == b"loss=1\n"
    with path.open("a") as file:
        file.write("loss=2\n")
    assert (tail.read(), tail.read()) == (b"loss=2\n", b"")


def test_a_file_that_shrinks_is_read_from_its_beginning(tmp_path: Path) -> None:
    tail = FileTail(tmp_path / "metrics.log")
    (tmp_path / "metrics.log").write_text("loss=1\nloss=2\n")
    tail.read()
    (tmp_path / "metrics.log").write_text("loss=3\n")
    assert tail.read() == b"loss=3\n"


def test_a_file_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be written on this machine"):
        FileTail(tmp_path / "file" / "metrics.log")


@pytest.mark.parametrize(
    ("line", "value"),
    [("acc=0,95", math.nan), ("acc=-1,5e3", math.nan), ("acc=1,234.5", math.nan), ("acc=0.5,1", 0.5), ("acc=1,b=2", 1),
     ("acc=1, 2", 1)],
)  # fmt: skip
def test_a_decimal_comma_makes_no_number(line: str, value: float) -> None:
    (found,) = MetricsReader(Collector(), ["acc"]).feed(f"{line}\n".encode())
    assert found["acc"] == pytest.approx(value, nan_ok=True)
