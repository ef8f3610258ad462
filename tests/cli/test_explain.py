"""`ctlr explain`: parts and options in words, which a test asks of every one."""

from pathlib import Path

import pytest
from terminal import call, ctlr

from ctlr.config import options_of, parts
from ctlr.specs import METHODS, PART_TABLES, EncoderPart


def explained(*arguments: str, folder: Path) -> str:
    done = call("explain", *arguments, folder=folder)
    assert done.code == 0, done.err
    return done.out


def test_every_part_says_what_it_is() -> None:
    for what, table in PART_TABLES.items():
        for name, part in table.items():
            words = part.about if isinstance(part, EncoderPart) else part.about()
            assert words, f"the {what} {name} has no words: add them to `about`, or as the first line of its docstring"


@pytest.mark.parametrize("part", parts())
def test_every_option_has_words(part: str) -> None:
    for option in options_of(part, parts(), section=str):
        assert option.meaning, f"{part}.{option.name} has no words: add a docstring below it"


def test_without_a_name_there_is_a_line_for_each_part(tmp_path: Path) -> None:
    lines = explained(folder=tmp_path).splitlines()
    for table in PART_TABLES.values():
        for name in table:
            assert any(line.startswith(f"  {name} ") for line in lines)
    assert "[plug-in" not in "\n".join(lines)


@pytest.mark.parametrize("name", [name for table in PART_TABLES.values() for name in table])
def test_each_part_is_explained_with_its_options_and_its_source(name: str, tmp_path: Path) -> None:
    text = explained(name, folder=tmp_path)
    assert text.startswith(f"{name} (")
    assert "\nOptions\n" in text
    assert ".py" in text.split("\nSource\n")[1]


def test_a_method_says_what_a_search_tries(tmp_path: Path) -> None:
    text = explained("knn", folder=tmp_path).split("\nA search tries, on pictures\n")[1].split("\n\n")[0]
    assert text.splitlines()[2:] == [
        "  features.components: null, 25, 50 or 100", "  features.cell: 4, 6 or 8",
        "  neighbours: whole numbers, 1 to 30, by magnitude", "  weights: uniform or distance",
        "  metric: euclidean, manhattan or cosine",
    ]  # fmt: skip
    assert "A search tries" not in explained("linear", folder=tmp_path)


def test_an_option_comes_with_values_default_and_meaning(tmp_path: Path) -> None:
    assert explained("simclr.temperature", folder=tmp_path).splitlines() == [
        "simclr.temperature", "  temperature: number > 0; default 0.2", "      Divides the cosine between views.",
    ]  # fmt: skip


def test_an_option_inside_has_the_default_of_its_method(tmp_path: Path) -> None:
    assert "batch_size: whole number ≥ 2, ≤ 4096; default 32" in explained("simclr.pretrain", folder=tmp_path)
    assert "default 16" in explained("supervised.pretrain.batch_size", folder=tmp_path)
    assert "default 8.0" in explained("methods.simclr.pretrain.views.rotate", folder=tmp_path)
    assert "Share of the subjects" in explained("split.test", folder=tmp_path)
    assert "  source: options or null; default null" in explained("transfers", folder=tmp_path)
    assert "n_frozen" in explained("training.finetune", folder=tmp_path)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("simcrl", "There is no part or option 'simcrl'. Did you mean 'simclr'?"),
        ("methods.digits", "There is no method 'digits'. Known: barlow_twins"),
        ("methods", "methods: name one of its parts."),
        ("simclr.temprature", "simclr has no option 'temprature'. Did you mean 'temperature'?"),
        ("simclr.pretrain.views.nope", "simclr.pretrain.views has no option 'nope'."),
        ("split.test.more", "`test` holds a single value"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(path: str, told: str, tmp_path: Path) -> None:
    done = call("explain", path, folder=tmp_path)
    assert done.code == 2
    assert told in done.err


def test_parts_of_a_file_are_marked_and_neither_they_nor_the_rest_load_torch(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "'''Mine.'''\nfrom typing import Literal\nfrom ctlr.specs import MethodSpec\n\n\n"
        "class Own(MethodSpec):\n    '''Does nothing.'''\n    method: Literal['own'] = 'own'\n"
        "    rate: float = 3\n    '''Of it.'''\n"
    )
    listed = ctlr("explain", "--plugins", "mine.py", folder=tmp_path)
    assert "Does nothing. [plug-in mine.py]" in listed.out
    text = ctlr("explain", "own", "--plugins", "mine.py", folder=tmp_path).out
    assert "rate: number; default 3" in text
    assert "plug-in mine.py, sha256" in text
    assert "mine.py, line 6" in text
    assert "own" not in METHODS
    (tmp_path / "torch.py").write_text("raise AssertionError")
    quick = ctlr("explain", "resnet18", folder=tmp_path, environment={"PYTHONPATH": f"{tmp_path}:{_path()}"})
    assert quick.code == 0, quick.err


def _path() -> str:
    import os

    return os.environ.get("PYTHONPATH", "")
