import json

import pytest
from ruamel.yaml import YAML

from ctlr.cli.show import show, show_rows


def test_json_and_yaml_read_back_to_the_same_value(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"name": "ü", "list": [1, 2.5, None], "flag": True, "text": "1e-4"}
    show(value, "json")
    assert json.loads(capsys.readouterr().out) == value
    show(value, "yaml")
    assert YAML(typ="safe").load(capsys.readouterr().out) == value


def test_rows_for_a_program_are_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    title = "a title that is longer than the narrow table below it and stands in one line all the same"
    show_rows(title, [{"method": "x" * 120, "score": 0.123456}])
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == title
    assert any("x" * 120 in line and "0.1235" in line for line in lines)
