"""Values put into a benchmark's file, whose other characters stay."""

import copy
import difflib
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.config import edited, nested, scalar_text, yaml_block
from ctlr.config._document import KeyPath, parse_text
from ctlr.errors import ConfigError

FILE = """\
# What it asks.
name: one   # its name

encoders: {small: {width: 0.5}}
methods: # all of them
    scratch: {}   # the baseline
    'supervised': {finetune: {lr: 1.0e-3, n_frozen: 1},}
    simclr:
        temperature: 0.20   # as published

        # the pretraining is long
        pretrain:
            epochs: 30
    vat:

sample_sizes: [20,   50]
"""


def lr(method: str, text: str = "0.01") -> dict[KeyPath, str]:
    return {("methods", method, "finetune", "lr"): text}


def changes(before: str, after: str) -> list[str]:
    """Lines that differ, as `diff` marks them."""
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return [line for line in lines if line[0] in "+-"]


def test_a_value_takes_the_place_of_the_one_that_stands_there() -> None:
    assert changes(FILE, edited(FILE, lr("supervised", "3e-4"), name="f")) == [
        "-     'supervised': {finetune: {lr: 1.0e-3, n_frozen: 1},}",
        "+     'supervised': {finetune: {lr: 3e-4, n_frozen: 1},}",
    ]


def test_a_value_that_stands_there_keeps_its_form() -> None:
    assert edited(FILE, lr("supervised", "0.001") | {("methods", "simclr", "temperature"): "0.2"}, name="f") == FILE


def test_an_empty_entry_is_filled_and_keeps_its_comment() -> None:
    assert changes(FILE, edited(FILE, lr("scratch") | lr("vat"), name="f")) == [
        "-     scratch: {}   # the baseline", "+     scratch: {finetune: {lr: 0.01}}   # the baseline",
        "-     vat:", "+     vat: {finetune: {lr: 0.01}}",
    ]  # fmt: skip


def test_what_is_long_for_its_line_goes_below_it() -> None:
    long = {("methods", "scratch", "finetune", f"option_{n}"): "0.0012345678901234567" for n in range(3)}
    assert changes(FILE, edited(FILE, long, name="f"))[:4] == [
        "-     scratch: {}   # the baseline", "+     scratch:   # the baseline", "+       finetune:",
        "+         option_0: 0.0012345678901234567",
    ]  # fmt: skip


def test_new_keys_stand_behind_the_last_one_of_their_mapping() -> None:
    after = edited(FILE, lr("simclr") | {("methods", "simclr", "pretrain", "lr"): "0.1"}, name="f")
    assert changes(FILE, after) == ["+             lr: 0.1", "+         finetune: {lr: 0.01}"]
    assert after.index("lr: 0.1") < after.index("finetune: {lr: 0.01}")


def test_lines_in_braces_are_broken_before_an_entry_that_does_not_fit() -> None:
    more = {("encoders", "small", f"option_{n}"): "0.0012345678901234567" for n in range(4)}
    lines = edited(FILE, more, name="f").splitlines()
    assert max(map(len, lines)) <= 103
    assert sum("option" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: &x {lr: 1}\nmethods: {scratch: *x}\n", "f:2: methods.scratch: is an alias of what stands elsewhere."),
        ("methods: {scratch: &x {finetune: {lr: 1}}, b: *x}\n", "f:1: methods.scratch: is an anchor"),
        ("methods: {scratch: 7}\n", "f:1: `methods.scratch` holds a single value (7)"),
        ("methods:\n  scratch: [7]\n", "f:2: `methods.scratch` is a list"),
    ],
)
def test_a_place_that_others_share_or_that_has_no_keys_is_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        edited(text, lr("scratch"), name="f")


def test_a_text_is_quoted_where_it_would_be_read_otherwise() -> None:
    assert [scalar_text(text) for text in ("adam", "1e-3", "null", "a, b", "on")] == [
        "adam", '"1e-3"', '"null"', '"a, b"', "on",
    ]  # fmt: skip
    assert [scalar_text(0.001, "1e-3"), scalar_text(None), scalar_text(True)] == ["1e-3", "null", "true"]


def test_a_block_has_a_key_a_line() -> None:
    tree = nested({("methods", "a", "finetune", "lr"): "1", ("methods", "a", "x"): "2"})
    assert list(yaml_block(tree)) == ["methods:", "  a:", "    finetune:", "      lr: 1", "    x: 2"]


# ---------------------------------------------------------------- whatever the form

KEYS = ("finetune", "pretrain")
OPTIONS = ("lr", "epochs", "schedule")
TEXTS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(lambda value: scalar_text(value, repr(value))),
    st.integers(-(2**60), 2**60).map(str), st.sampled_from(["true", "null", "adam", '"a: b, {c}"', "1.0e-3", "'it'"]),
)  # fmt: skip
COMMENT = st.sampled_from(["", "", " # told", "   # a: b, {c}"])


@st.composite
def entries(draw: Any, indent: str) -> str:
    """A method's options in some form, from behind its colon to the end of the entry."""
    options = draw(st.dictionaries(st.sampled_from(OPTIONS), TEXTS, min_size=1))
    stages = draw(st.lists(st.sampled_from(KEYS), min_size=1, unique=True))
    comment = draw(COMMENT)
    braces = "{" + ", ".join(f"{key}: {value}" for key, value in options.items()) + "}"
    match draw(st.sampled_from(["empty", "nothing", "null", "flow", "trailing", "wrapped", "half", "block", "text"])):
        case "empty":
            return f" {{}}{comment}\n"
        case "nothing":
            return f"{comment}\n"
        case "null":
            return f" ~{comment}\n"
        case "flow":
            return " {" + ", ".join(f"{stage}: {braces}" for stage in stages) + f"}}{comment}\n"
        case "trailing":
            return f" {{ temperature: 1, {stages[0]}: {braces} , }}{comment}\n"
        case "wrapped":
            return f" {{temperature: 1,{comment}\n{indent * 3}{stages[0]}: {braces}}}\n"
        case "half":
            return f"{comment}\n" + "".join(f"{indent * 2}{stage}: {braces}{comment}\n" for stage in stages)
        case "text":
            return f"{comment}\n{indent * 2}note: |\n{indent * 3}first\n\n{indent * 3}second\n\n"
        case _:
            lines = [f"{comment}\n"]
            for stage in stages:
                lines.append(f"{indent * 2}{stage}:{comment}\n\n")
                lines += [f"{indent * 3}{key}: {value}{comment}\n" for key, value in options.items()]
                lines.append(f"{indent * 2}# behind {stage}\n")
            return "".join(lines)


@st.composite
def files(draw: Any) -> str:
    indent = draw(st.sampled_from(["  ", "    ", " "]))
    text = "# head\nname: x\n\nmethods:\n"
    for name in ("a", "'b'", "c"):
        text += f"{indent}{name}:{draw(entries(indent))}"
    text += draw(st.sampled_from(["", "\n# tail\nsizes: [1,  2]  # end\n", "sizes:\n- 1\n"]))
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


PLACES = st.one_of(
    st.tuples(st.just("methods"), st.sampled_from("abc"), st.sampled_from(KEYS), st.sampled_from(OPTIONS)),
    st.tuples(st.just("methods"), st.sampled_from("abc"), st.just("temperature")),
)


@settings(max_examples=200, deadline=None)
@given(text=files(), values=st.dictionaries(PLACES, TEXTS, min_size=1, max_size=6))
def test_a_file_says_what_it_said_and_the_values_whatever_its_form(text: str, values: dict[KeyPath, str]) -> None:
    after = edited(text, values, name="f")
    expected = copy.deepcopy(parse_text(text, "f").data)
    for where, written in values.items():
        below = expected
        for key in where[:-1]:
            if below.get(key) is None:
                below[key] = {}
            below = below[key]
        below[where[-1]] = parse_text(written, "f").data
    assert parse_text(after, "f").data == expected
    assert edited(after, values, name="f") == after
    assert re.findall(r"(?m)(?: |^)# [^\r\n]*", after) == re.findall(r"(?m)(?: |^)# [^\r\n]*", text)
    kept = re.split(r"methods:|\n(?=# tail|sizes:)", text)
    assert after.startswith(kept[0])
    assert after.endswith(kept[-1] if len(kept) > 2 else "")
