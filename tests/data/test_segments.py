"""Events are read from the files that exist, and cut into segments as the rules say."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctlr.data.kinds.signals.edf import Stretch, read_recording
from ctlr.data.kinds.signals.labels import Event, events_of
from ctlr.data.kinds.signals.segments import Segment, Span, cut, spans_of, thinned
from ctlr.data.kinds.signals.writing import write_edf
from ctlr.errors import DataError

CSV = """\
# version = csv_v1.0.0
# bname = aaaaaajy_s001_t000
# duration = 1750.0000 secs

channel,start_time,stop_time,label,confidence
TERM,0.0000,36.8868,bckg,1.0000
TERM,36.8868,183.3055,seiz,1.0000
"""
TSE = "version = tse_v1.0.0\n\n0.0000 10.2775 bckg 1.0000\n10.2775 35.7775 fnsz 0.9\n"
CLASSES = {"bckg": "rest", "seiz": "seizure"}


def event(start: float, stop: float, label: str = "seiz", channel: str = "", line: int = 0) -> Event:
    return Event(Fraction(start), Fraction(stop), label, channel, line)


def span(start: float, stop: float, name: str) -> Span:
    return Span(Fraction(start), Fraction(stop), name)


def read(folder: Path, name: str, text: str) -> list[Event]:
    write_edf(folder / "a.edf", ["Cz"], np.zeros((1, 200)), 10, [(3, 4.5, "seizure"), (12, 0, "mark")])
    (folder / name).write_text(text)
    return events_of(read_recording(folder / "a.edf"), folder / name, name)


def test_the_label_files_of_tuh_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, "a.csv_bi", CSV)
    assert [(each.start, each.stop, each.label, each.channel, each.line) for each in found] == [
        (0, Fraction("36.8868"), "bckg", "", 6), (Fraction("36.8868"), Fraction("183.3055"), "seiz", "", 7),
    ]  # fmt: skip
    assert [(float(each.start), float(each.stop), each.label) for each in read(tmp_path, "a.tse", TSE)] == [
        (0, 10.2775, "bckg"), (10.2775, 35.7775, "fnsz"),
    ]  # fmt: skip
    by_channel = read(tmp_path, "a.csv", CSV.replace("TERM,36", "FP1-F7,36"))
    assert [each.channel for each in by_channel] == ["", "FP1-F7"]


def test_annotations_that_last_are_events(tmp_path: Path) -> None:
    read(tmp_path, "a.tse", TSE)
    found = events_of(read_recording(tmp_path / "a.edf"), None, "")
    assert found == [Event(Fraction(3), Fraction("7.5"), "seizure", "", 0)]


@pytest.mark.parametrize(
    ("name", "text", "place", "message"),
    [
        ("a.csv", "", "a.csv", "a header line channel,start_time,stop_time,label is needed"),
        ("a.csv", CSV.replace("start_time", "start"), "a.csv, line 5", "a column 'start_time' is needed. Did you mean"),
        ("a.csv", CSV + "TERM,1.0\n", "a.csv, line 8", "as many cells as the header \\(5\\); got 2"),
        ("a.csv", CSV + "TERM,1,5,2,seiz,1\n", "a.csv, line 8", "got 6"),
        ("a.csv", CSV.replace("36.8868,183", "later,183"), "a.csv, line 7", "decimal point; got 'later'"),
        ("a.csv", CSV.replace("183.3055", "30"), "a.csv, line 7", "stops after that; got 36.8868 to 30 s"),
        ("a.csv", CSV.replace("seiz", ""), "a.csv, line 7", "an event needs a label"),
        ("a.tse", "0 10\n", "a.tse, line 1", "got 2 words"),
        ("a.tse", "0 inf seiz 1\n", "a.tse, line 1", "must be numbers"),
    ],
)
def test_a_wrong_label_file_is_refused_with_its_line(
    name: str, text: str, place: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, name, text)
    assert caught.value.place == place


def test_a_label_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    read(tmp_path, "a.csv", CSV)
    (tmp_path / "a.csv").write_bytes(CSV.encode() + b"\xe9")
    with pytest.raises(DataError, match="UTF-8 is needed"):
        events_of(read_recording(tmp_path / "a.edf"), tmp_path / "a.csv", "a.csv")


# ---------------------------------------------------------------- spans


def test_labels_that_do_not_count_are_left_out_and_others_become_classes() -> None:
    assert spans_of([event(0, 5, "artf"), event(2, 9), event(9, 30, "bckg")], CLASSES) == [
        span(2, 9, "seizure"), span(9, 30, "rest"),
    ]  # fmt: skip


def test_what_several_channels_show_at_once_is_one_span() -> None:
    found = [event(10, 30, channel="FP1-F7"), event(12, 40, channel="F7-T3"), event(50, 60, channel="F7-T3")]
    assert spans_of(found, CLASSES) == [span(10, 40, "seizure"), span(50, 60, "seizure")]


def test_where_channels_disagree_the_first_class_wins() -> None:
    found = [event(0, 100, "bckg", "T3-T5"), event(20, 40, "seiz", "FP1-F7")]
    assert spans_of(found, {"seiz": "seizure", "bckg": "rest"}) == [
        span(0, 20, "rest"), span(20, 40, "seizure"), span(40, 100, "rest"),
    ]  # fmt: skip
    assert spans_of(found, CLASSES) == [span(0, 100, "rest")]


def test_two_classes_at_once_on_one_channel_are_refused() -> None:
    found = [event(0, 25, "bckg", line=6), event(20, 40, line=7)]
    with pytest.raises(DataError, match="must not overlap") as caught:
        spans_of(found, CLASSES)
    assert caught.value.place == "'bckg', 0 to 25 s, line 6 and 'seiz', 20 to 40 s, line 7"


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.integers(1, 20), st.sampled_from(["a", "b", "c"]), st.sampled_from("xyz"))
    )
)
def test_spans_never_overlap_and_hold_all_that_counts(drawn: list[tuple[int, int, str, str]]) -> None:
    events = sorted(event(start, start + length, label, f"{label}{channel}") for start, length, label, channel in drawn)
    spans = spans_of(events, {"a": "one", "b": "two", "c": "one"})
    covered = [second for each in spans for second in range(int(each.start), int(each.stop))]
    assert len(covered) == len(set(covered))
    assert set(covered) == {second for each in events for second in range(int(each.start), int(each.stop))}


# ---------------------------------------------------------------- segments

WHOLE = (Stretch(Fraction(0), 0, 100),)


def test_segments_follow_one_another_from_the_start_of_a_span() -> None:
    found = cut([span(3, 36, "a"), span(40, 49, "b")], WHOLE, Fraction(1), rate=50, samples=500)
    assert found == [Segment(0, 150, "a"), Segment(0, 650, "a"), Segment(0, 1150, "a")]


def test_a_segment_starts_with_the_first_sample_inside_its_span() -> None:
    found = cut([span(Fraction("0.013"), Fraction("10.02"), "a")], WHOLE, Fraction(1), rate=50, samples=500)
    assert found == [Segment(0, 1, "a")]
    assert cut([span(Fraction("0.013"), Fraction("10.01"), "a")], WHOLE, Fraction(1), rate=50, samples=500) == []


def test_no_segment_crosses_a_gap_or_the_end() -> None:
    stretches = (Stretch(Fraction(0), 0, 25), Stretch(Fraction(85), 25, 75))
    found = cut([span(3, 200, "a")], stretches, Fraction(1), rate=50, samples=500)
    assert [(each.stretch, each.at) for each in found] == [(0, 150), (0, 650), *((1, 500 * k) for k in range(7))]


def test_a_class_keeps_so_many_segments_spread_evenly() -> None:
    found = [Segment(0, 500 * k, "rest") for k in range(10)] + [Segment(0, 500 * k, "seizure") for k in range(10, 12)]
    assert thinned(found, None) == found
    assert [(each.at // 500, each.name) for each in thinned(found, 3)] == [
        (0, "rest"), (3, "rest"), (6, "rest"), (10, "seizure"), (11, "seizure"),
    ]  # fmt: skip
