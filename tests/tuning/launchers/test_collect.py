"""Metrics out of text and JSON, as Katib's collectors read them."""

import itertools
import math
import re
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.errors import ConfigError
from ctlr.specs import Collector
from ctlr.tuning.launchers import Metrics, MetricsReader, Tally
from ctlr.tuning.launchers.collect import FileTail
from ctlr.tuning.manifest import DEFAULT_FILTER

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


STAMP = "2026-11-20T09:30:0"


@pytest.mark.parametrize(
    ("log", "least", "latest"),
    [
        ("args: loss=mse\nloss=0.5", 0.5, 0.5),
        ("loss=0.5\nloss=None", 0.5, None),
        ("loss=0.5\nloss=\x1b[32m0.4\x1b[0m\nloss=0.6", 0.5, 0.6),
        ("loss=1e999\nloss=.5", 0.5, 0.5),
        ("loss=0.5\n" + "x" * 5000 + " loss=0.33", 0.33, 0.33),
        ("loss=1;234\nloss=5.", 1.0, 5.0),
        (f"{STAMP}1Z loss=0.5\n{STAMP}0Z loss=0.6", 0.5, 0.5),
        (f"{STAMP}1.000002Z loss=0.5\n{STAMP}1.000001Z loss=0.6", 0.5, 0.5),
        ("2026-11-20T11:30:01+02:00 loss=0.5\n" + f"{STAMP}0Z loss=0.6", 0.5, 0.5),
        (f"{STAMP}1Z loss=0.5\nloss=0.6", 0.5, 0.5),
        (f"{STAMP}0Z loss=0.5\n {STAMP}1Z loss=0.6", 0.5, 0.5),
        (f"{STAMP}0Z loss=0.5\n{STAMP}1Z\tloss=0.6", 0.5, 0.5),
        ("2026-02-30T09:30:00Z loss=0.5\nloss=0.6", 0.5, 0.6),
        ("2026-11-20 09:30:00 loss=0.5\nloss=0.6", 0.5, 0.6),
        (f"{STAMP}0Z loss=0.5\n{STAMP}1Z loss=none", 0.5, None),
        (f"{STAMP}1Z loss=none\n{STAMP}0Z loss=0.5", 0.5, None),
        (f"{STAMP}0.000000002Z loss=0.5\n{STAMP}0.000000001Z loss=0.6", 0.5, 0.5),
        ("2026-11-20T9:30:00Z loss=0.5\nloss=0.6", 0.5, 0.5),
        ("2026-11-20T09:30:00+24:00 loss=0.5\n2026-11-19T09:30:00.5Z loss=0.6", 0.5, 0.6),
        ("0001-01-01T00:00:00Z loss=0.5\nloss=0.6", 0.5, 0.6),
        (f"{STAMP}1Z loss=0.5\r\r loss=0.4\r\n{STAMP}0Z loss=0.6", 0.4, 0.4),
        (f"\r{STAMP}1Z loss=0.5\n{STAMP}0Z loss=0.6", 0.5, 0.6),
    ],
)
def test_of_a_whole_log_the_values_of_katibs_compiled_collector_count(
    log: str, least: float, latest: float | None
) -> None:
    """Numbers of Katib 0.19's CollectObservationLog and getMetrics, run on these logs."""
    assert (counted(log, "min"), counted(log, "latest")) == (least, latest)


@pytest.mark.parametrize(
    ("log", "least", "latest"),
    [
        ('{"loss": ""}\n{"loss": "0.5"}', 0.5, 0.5),
        ('{"loss": "0.5"}\n{"loss": "None"}', 0.5, None),
        ('{"loss": " 0.4"}\n{"loss": "0.5"}', 0.5, 0.5),
        (f'{{"loss": "0.5", "timestamp": "{STAMP}1Z"}}\n{{"loss": "0.6", "timestamp": "{STAMP}0Z"}}', 0.5, 0.5),
        ('{"loss": "0.5", "timestamp": 1763631002.5}\n{"loss": "0.6", "timestamp": 1763631001}', 0.5, 0.5),
        ('{"loss": "0.5", "timestamp": 1}\n{"loss": "0.6", "timestamp": true}', 0.5, 0.5),
        ('{"loss": "0.5", "timestamp": "today"}\n{"loss": "0.6"}', 0.5, 0.6),
        ('{"loss": "0.5", "timestamp": "0000-01-01T00:00:00Z"}\n{"loss": "0.6"}', 0.5, 0.6),
        ('{"loss": "0x1.8p-1"}\n{"loss": "0x1p99999"}\n{"loss": "0x1"}', 0.75, None),
    ],
)
def test_of_json_too(log: str, least: float, latest: float | None) -> None:
    assert (counted(log, "min", format="JSON"), counted(log, "latest", format="JSON")) == (least, latest)


@pytest.mark.parametrize("time", ["1" + "0" * 400, "1e999", "-Infinity", "[]", "null", '"9999-12-31T23:59:59-14:00"'])
def test_no_time_is_too_strange_to_be_read(time: str) -> None:
    assert counted(f'{{"loss": "0.5", "timestamp": {time}}}', "latest", format="JSON") == 0.5


def counted(log: str, strategy: Literal["min", "latest"], **collector: object) -> float | None:
    """The loss of a whole log by a strategy."""
    tally = Tally({"loss": strategy})
    for metrics in read(log, **collector):
        tally.add(metrics, metrics.time)
    return tally.metrics().get("loss")


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (r"(?P<name>[[:alpha:]]+)=([[:digit:].]+)", "loss=0.5"),
        (r"(?<name>\pL+)=(?<value>\d\S*)\z", "loss=0.5"),
        (r"(?i)(loss)\s*=\s*(\d+\.\d+)", "loss = 0.5"),
        (r"(?U)(\w+)=(.+)(?:;|$)", "loss=0.5;acc=1"),
        (r"\Q[\E(\w+)\Q]\E (\S+)", "[loss] 0.5"),
    ],
)
def test_filters_are_gos_expressions(pattern: str, line: str) -> None:
    assert read(line, filters=(pattern,)) == [{"loss": 0.5}]


def test_a_filter_that_backtracks_for_ever_elsewhere_takes_no_time() -> None:
    assert read("loss=" + "a" * 50_000 + "!", filters=(r"(loss)=((a+)+)$",)) == []


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


def test_of_two_filters_the_second_finds_the_latest_value() -> None:
    filters = (r"(loss)\s*=\s*(\S*)", r"(\w+)=([\d.]+)")
    assert counted("loss=4.9e-3 loss=5 loss = none", "latest", filters=filters) == 5.0


def test_each_match_without_a_value_is_a_report() -> None:
    assert repr(read("loss=x val_acc=y", filters=(r"([a-z_]+)=(\d)?",))) == "[{'loss': nan, 'val_acc': nan}]"


def test_json_writes_letters_as_it_likes() -> None:
    assert read('{"pr\\u00e9cision": "0.5"}', names=("précision",), format="JSON") == [{"précision": 0.5}]


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


def test_a_file_that_is_kept_makes_room_for_the_next(tmp_path: Path) -> None:
    tail = FileTail(tmp_path / "metrics.log")
    (tmp_path / "metrics.log").write_text("loss=1\n")
    with pytest.raises(ConfigError, match="is there already"):
        FileTail(tmp_path / "metrics.log")
    tail.keep(tmp_path / "kept.log")
    assert (tmp_path / "kept.log").read_text() == "loss=1\n"
    FileTail(tmp_path / "metrics.log").keep(tmp_path / "none.log")
    assert not (tmp_path / "none.log").exists()


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
     ("acc=1, 2", 1), ("acc=1.234,56", math.nan), ("acc=1'000", math.nan), ("acc=1_000.5", math.nan),
     ("acc=12:30", math.nan), ("acc=0x1A", math.nan), ("acc=1.2.3", math.nan), ("acc=0.125,0.7", 0.125),
     ("acc=0.5s", 0.5), ("acc=95%", 95), ("acc=5.", 5)],
)  # fmt: skip
def test_a_number_that_goes_on_is_no_number(line: str, value: float) -> None:
    (found,) = MetricsReader(Collector(), ["acc"]).feed(f"{line}\n".encode())
    assert found["acc"] == pytest.approx(value, nan_ok=True)
