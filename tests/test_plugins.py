"""Parts of others: by a file beside the benchmark, by an installed package; what they bring, and what breaks them."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from own_parts import FILE, PARTS
from terminal import call, ctlr
from tiny_bench import TINY, search_of

from ctlr.cluster.request import request_of
from ctlr.cluster.submission import submitted
from ctlr.config import (
    BenchmarkConfig,
    json_schema,
    load,
    plugins_of,
    public_dump,
    resolved_yaml,
    schema_parts,
)
from ctlr.encoders import build_encoder
from ctlr.errors import ConfigError
from ctlr.outcome.provenance import environment
from ctlr.outcome.remembered import last_run
from ctlr.plan import make_plan
from ctlr.specs import DATASETS, ENCODERS, METHODS, PLUGINS, AnyMethod, MethodSpec, Study
from ctlr.tuning.options import with_options
from ctlr.workspace import Workspace


@pytest.fixture(autouse=True)
def no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test loads is known to it alone."""
    monkeypatch.setenv(PLUGINS, "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "my_parts.py").write_text(PARTS)
    (tmp_path / "own.yaml").write_text(FILE)
    return tmp_path / "own.yaml"


def study_of(config: BenchmarkConfig, label: str) -> Study:
    return next(study for study in make_plan(config).studies if study.method.label == label)


# ---------------------------------------------------------------- files


def test_a_file_brings_a_method_an_encoder_and_a_kind_of_data(file: Path) -> None:
    config = load(file)
    assert isinstance(config.methods["align"], MethodSpec)
    assert config.encoders["half_cnn"].name == "half_cnn"
    assert config.datasets["cohort"].kind == "grown"
    assert METHODS["align"].meanings()["weight"] == "Of uniformity."
    assert all(table.origin("simclr") is None for table in (METHODS, ENCODERS, DATASETS))


def test_a_value_is_read_back_as_what_it_was(file: Path) -> None:
    config = load(file)
    assert BenchmarkConfig.model_validate_json(config.model_dump_json()) == config
    plan = make_plan(config)
    assert type(plan).model_validate_json(plan.model_dump_json()) == plan


def test_the_benchmark_written_out_is_read_back_to_the_same(file: Path) -> None:
    config = load(file)
    file.write_text(resolved_yaml(config))
    assert load(file) == config
    assert public_dump(config)["plugins"] == ["my_parts.py"]


def test_another_version_of_the_file_has_other_results_and_built_in_parts_keep_theirs(file: Path) -> None:
    before = load(file)
    (file.parent / "my_parts.py").write_text(PARTS + "# a comment is enough\n")
    after = load(file)
    assert before.identity() != after.identity()
    labels = ("align", "scratch")
    old, new = ([study_of(each, label).method.identity() for label in labels] for each in (before, after))
    assert old[0] != new[0]
    assert old[1] == new[1]
    plain = file.with_name("plain.yaml")
    plain.write_text(TINY)
    fingerprints = [study.identity() for study in make_plan(load(plain)).studies]
    for setting in ("name=tiny", "plugins=[my_parts.py]"):
        assert [study.identity() for study in make_plan(load(plain, [setting])).studies] == fingerprints


def test_a_file_of_the_same_name_takes_the_place_of_the_former(file: Path, tmp_path: Path) -> None:
    first = load(file)
    other = tmp_path / "other"
    other.mkdir()
    for name in ("my_parts.py", "own.yaml"):
        shutil.copy(tmp_path / name, other)
    assert load(other / "own.yaml").identity() == first.identity()
    (other / "my_parts.py").write_text(PARTS.replace('"align"', '"pull"'))
    (other / "own.yaml").write_text(FILE.replace("align:", "pull:"))
    load(other / "own.yaml")
    assert "pull" in METHODS
    assert "align" not in METHODS


def test_the_check_and_provenance_say_who_brings_what_in_which_version(file: Path) -> None:
    checked = call("check", file.name, folder=file.parent)
    assert checked.code == 0
    config = load(file)
    (plugin,) = plugins_of(config)
    assert plugin.name == "my_parts.py"
    parts = "method align, encoder half_cnn, kind of data grown"
    assert checked.out.endswith(f"plug-in my_parts.py (sha256 {plugin.sha256}): {parts}\nown.yaml: ok\n")
    assert environment(config, file.parent)["plug-in my_parts.py"] == f"sha256 {plugin.sha256}"


def test_a_file_that_brings_nothing_to_the_benchmark_is_named_as_such(file: Path) -> None:
    file.write_text(TINY.replace("name: tiny", "name: own\nplugins: [my_parts.py]"))
    assert "nothing of it is used" in call("check", file.name, folder=file.parent).out


def test_the_schema_has_its_options_and_a_class_may_be_called_as_a_built_in_one(file: Path) -> None:
    (file.parent / "my_parts.py").write_text(PARTS.replace("AlignSpec", "SimCLRSpec"))
    load(file)
    schema = json_schema()
    names = schema_parts(schema)
    assert names["method", "align"] != names["method", "simclr"]
    assert {"weight", "pool", "pretrain"} <= set(schema["$defs"][names["method", "align"]]["properties"])
    assert not any("plugin" in part["properties"] for part in schema["$defs"].values())
    assert "half_cnn" in schema["$defs"]["EncoderSpec"]["properties"]["name"]["enum"]


DEEP = """
class HalfSpec(EncoderSpec):
    \"\"\"Half of the small CNN, or another share.\"\"\"

    share: Annotated[float, Field(gt=0, le=1)] = 0.5
    \"\"\"Of its channels.\"\"\"


def _build_share(*, channels, ndim, options):
    from ctlr.encoders.small_cnn import small_cnn

    return small_cnn(channels=channels, ndim=ndim, width=options.share * options.width)


ENCODERS["half_cnn"] = EncoderPart(about="part of the small CNN", build=_build_share, blocks=4, options=HalfSpec)
"""


def test_an_encoder_brings_options_of_its_own(file: Path) -> None:
    (file.parent / "my_parts.py").write_text(PARTS.replace("EncoderPart,", "EncoderPart, EncoderSpec,") + DEEP)
    file.write_text(FILE.replace("{half_cnn: {}}", "{half_cnn: {}, quarter: {name: half_cnn, share: 0.25}}"))
    config = load(file)
    half, quarter = config.encoders["half_cnn"], config.encoders["quarter"]
    assert quarter.own_options == {"share": 0.25}
    assert build_encoder(quarter, channels=1, ndim=2, seed=0).width == 8
    assert quarter.model_dump()["plugin"] == half.model_dump()["plugin"] == ENCODERS["half_cnn"].plugin
    study = next(study for study in make_plan(config).studies if study.encoder.label == "quarter")
    assert type(study).model_validate_json(study.model_dump_json()) == study
    assert with_options(study, {"encoder.share": "0.75"}).encoder.own_options == {"share": 0.75}
    explained = call("explain", "half_cnn.share", "--plugins", "my_parts.py", folder=file.parent).out
    assert "share: number > 0, ≤ 1; default 0.5" in explained
    file.write_text(FILE.replace("{half_cnn: {}}", "{half_cnn: {share: 2}}"))
    assert "half_cnn.share: must be at most 1.0; got 2." in call("check", file.name, folder=file.parent).err


# ---------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ran")
    (folder / "my_parts.py").write_text(PARTS)
    (folder / "own.yaml").write_text(FILE)
    done = ctlr("run", "own.yaml", "--workers", "2", folder=folder)
    assert done.code == 0, done.err
    return folder


def test_two_workers_run_it_and_the_report_names_the_file(ran: Path) -> None:
    page = (ran / "workspace" / "reports" / "own" / "report.html").read_text()
    assert "plug-in my_parts.py" in page
    assert load(ran / "own.yaml").methods["align"].model_dump()["plugin"] in page
    assert "align" in page


def test_a_file_that_was_edited_since_is_not_gone_on_with(ran: Path) -> None:
    source = ran / "my_parts.py"
    try:
        source.write_text(PARTS + "# edited\n")
        resumed = call("resume", folder=ran)
    finally:
        source.write_text(PARTS)
    assert resumed.code == 2
    assert "my_parts.py has changed since that run. Go on with `ctlr run FILE" in resumed.err
    assert "Everything is finished already." in ctlr("resume", folder=ran).err


# ---------------------------------------------------------------- submissions


def test_a_file_travels_with_a_submission(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load(file)
    request = request_of(config)
    assert request.arguments["manifests"] == {"my_parts.py": PARTS}
    assert str(tmp_path) not in json.dumps(dict(request.arguments))
    for name in ("my_parts.py", "own.yaml"):
        (tmp_path / name).unlink()
    monkeypatch.setenv(PLUGINS, "")  # a pod of its own
    sent = (request.arguments[key] for key in ("submission", "benchmark", "manifests"))
    arrived = submitted(*sent, Workspace(tmp_path / "volume"))
    assert [study.identity() for study in arrived.plan.studies] == [s.identity() for s in make_plan(config).studies]
    assert arrived.config.identity() == config.identity()


def test_files_travel_with_one_study_alone(file: Path) -> None:
    config = load(file)
    request = request_of(config, study=study_of(config, "align").id)
    assert request.arguments["manifests"] == {"my_parts.py": PARTS}


def test_its_options_are_tuned_like_all_others(file: Path) -> None:
    folder = file.parent
    (folder / "weight.yaml").write_text(search_of("weight", "0.5", "2"))
    (folder / "rate.yaml").write_text(search_of("lr"))
    tuning = "{experiments: {scratch: rate.yaml, supervised: rate.yaml, align: weight.yaml}, trials: 2, order: joint}"
    file.write_text(FILE + f"tuning: {tuning}\n")
    done = call("run", "own.yaml", "--workers", "2", folder=folder)
    assert done.code == 0, done.err
    (found,) = [each for each in last_run(folder / "workspace").searches if each.study.method.label == "align"]
    assert 0.5 <= float(found.assignments["weight"]) <= 2
    assert [trial.status for stage in found.stages for trial in stage.trials] == ["Succeeded"] * 2


# ---------------------------------------------------------------- what breaks them

HEAD = "from typing import Literal\nfrom ctlr.specs import EncoderPart, DatasetSpec, MethodSpec\n"
BROKEN = {
    "syntax": ("class Wrong(:\n", "my_parts.py, line 3: SyntaxError: invalid syntax (class Wrong(:)"),
    "name": ("\nx = y\n", "my_parts.py, line 4: NameError: name 'y' is not defined (x = y)"),
    "import": (
        "import nowhere_at_all\n",
        "my_parts.py, line 3: ModuleNotFoundError: No module named 'nowhere_at_all' (import",
    ),
    "exit": ("raise SystemExit(3)\n", "my_parts.py, line 3: SystemExit: 3"),
    "built in": (
        'class A(MethodSpec):\n    """A."""\n    method: Literal["vat"] = "vat"\n',
        "my_parts.py, line 3: there is a method 'vat' already, built in. Rename one of them.",
    ),
    "twice": (
        'class A(MethodSpec):\n    """A."""\n    method: Literal["own"] = "own"\n'
        'class B(MethodSpec):\n    """B."""\n    method: Literal["own"] = "own"\n',
        "my_parts.py, line 6: there is a method 'own' already, of my_parts.py. Rename one of them.",
    ),
    "no docstring": (
        'class A(MethodSpec):\n    method: Literal["own"] = "own"\n',
        "my_parts.py, line 3: A needs a docstring, whose first line says what it is wherever it is listed. Add it.",
    ),
    "no reader": (
        'class A(DatasetSpec):\n    """A."""\n    kind: Literal["own"] = "own"\n',
        "my_parts.py, line 3: A must name its `reader`.",
    ),
    "no part": ("ENCODERS = {'own': 3}\n", "my_parts.py: the encoder 'own' must be an `EncoderPart`; got 3."),
    "no words": (
        "ENCODERS = {'own': EncoderPart(about='', build='a:b', blocks=3)}\n",
        "my_parts.py: the encoder 'own' must say in `about` what it is. Add a line.",
    ),
    "taken": (
        'class A(MethodSpec):\n    """A."""\n    method: Literal["own"] = "own"\n    plugin: int = 3\n',
        "my_parts.py, line 3: A must have no option `plugin`",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_of_with_its_line(name: str, file: Path) -> None:
    text, told = BROKEN[name]
    file.with_name("my_parts.py").write_text(HEAD + text)
    checked = call("check", file.name, folder=file.parent)
    assert checked.code == 2
    assert f"plugins.0: {told}" in checked.err
    assert "own.yaml:2:" in checked.err
    assert call("check", file.name, folder=file.parent).err == checked.err  # the second time too


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("[../my_parts.py]", "must be the name of a file of Python code that lies beside this one"),
        ("[my_parts.txt]", "must be the name of a file of Python code that lies beside this one"),
        ("[nowhere.py]", "there is no file 'nowhere.py'. Relative ones start at this file."),
        ("my_parts.py", "must be a list"),
    ],
)
def test_a_plug_in_is_a_file_beside_the_benchmark(written: str, told: str, file: Path) -> None:
    file.write_text(FILE.replace("[my_parts.py]", written))
    with pytest.raises(ConfigError, match=re.escape(told)):
        load(file)


def test_a_file_that_is_no_text_is_told_of(file: Path) -> None:
    file.with_name("my_parts.py").write_bytes(b"x = 1\ny = '\xff'\n")
    with pytest.raises(ConfigError, match="my_parts.py, line 2: Python code must be UTF-8 text. Save it so"):
        load(file)


# ---------------------------------------------------------------- packages


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path of Python, as an installer leaves it."""
    folder = tmp_path / "site"
    (folder / "others").mkdir(parents=True)
    (folder / "others" / "__init__.py").write_text("")
    (folder / "others" / "parts.py").write_text(PARTS)
    (folder / "others-1.2.dist-info").mkdir()
    (folder / "others-1.2.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.2\n")
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "others"]:
        del sys.modules[name]


def entries(package: Path, **groups: str) -> None:
    """Write the package's entry points, and let everybody look again."""
    from ctlr.specs import _plugins, use_files

    text = "\n".join(f"[ctlr.{group}]\n{line}" for group, line in groups.items())
    (package / "others-1.2.dist-info" / "entry_points.txt").write_text(text)
    importlib.invalidate_caches()
    _plugins._code.cache_clear()
    for table in (METHODS, ENCODERS, DATASETS):
        table._sources = None
    use_files([])


def test_a_package_brings_parts_by_its_entry_points(package: Path, file: Path) -> None:
    entries(package, methods="align = others.parts:AlignSpec", data="grown = others.parts:GrownSpec")
    file.write_text(FILE.replace("plugins: [my_parts.py]\n", "").replace("half_cnn", "small_cnn"))
    checked = call("check", file.name, folder=file.parent)
    assert checked.code == 0, checked.err
    assert re.search(
        r"plug-in others 1\.2 \(sha256 [0-9a-f]{16}\): method align, kind of data grown\nown\.yaml: ok\n", checked.out
    )
    before = load(file).identity()
    (package / "others" / "helper.py").write_text("x = 1\n")
    entries(package, methods="align = others.parts:AlignSpec", data="grown = others.parts:GrownSpec")
    assert load(file).identity() != before  # any code of the package may decide what it does


def test_a_part_of_a_package_and_one_of_a_file_must_not_share_a_name(package: Path, file: Path) -> None:
    entries(package, methods="align = others.parts:AlignSpec")
    with pytest.raises(ConfigError, match=r"my_parts.py, line \d+: there is a method 'align' already, of others 1.2"):
        load(file)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (
            "own = nowhere_at_all.parts:X",
            "others 1.2: its entry point own = nowhere_at_all.parts:X does not load: Modu",
        ),
        ("own = others.parts:X", "others 1.2: its entry point own = others.parts:X does not load: AttributeError"),
        (
            "own = others.parts:AlignSpec",
            'AlignSpec must say its name: `method: Literal["own"] = "own"`; got \'align\'.',
        ),
        ("own = others.parts:_build", "'own' must be a class that inherits from `MethodSpec`; got <function _build"),
    ],
)
def test_a_broken_entry_point_names_its_package(entry: str, told: str, package: Path, tiny_file: Path) -> None:
    entries(package, methods=entry)
    with pytest.raises(ConfigError, match=re.escape(told)):
        list(METHODS)


def test_any_method_says_which_there_are(file: Path) -> None:
    load(file)
    from pydantic import TypeAdapter, ValidationError

    with pytest.raises(ValidationError, match=r"unknown method 'alig'. Did you mean 'align'\?"):
        TypeAdapter(AnyMethod).validate_python({"method": "alig"})
