"""`ctlr explain`: what a method, an encoder, a kind of data or an option is, as kubectl explains fields."""

from __future__ import annotations

import inspect
import json
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import rich_click as click

from ctlr.cli import candidates
from ctlr.errors import ConfigError, nearest

__all__ = ["explain"]

INDENT = "  "
HARD_SPACE = "\N{NO-BREAK SPACE}"
SECTIONS = {"methods": "method", "encoders": "encoder", "datasets": "kind of data"}
"""By the section of a benchmark file: what its entries are."""
PARTS = {"training": "TrainingSpec", "tasks": "TaskSpec", "transfers": "Transfer"}
"""Other sections whose options stand in a part of the schema."""


@click.command()
@click.argument("name", required=False, shell_complete=candidates.explained)
@click.option("--plugins", "files", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
              shell_complete=candidates.plugin_files,
              help="A file of Python code with parts of your own. Repeatable.")  # fmt: skip
def explain(name: str | None, files: tuple[Path, ...]) -> None:
    """Say what a method, an encoder, a kind of data or an option is; without a name, which there are.

    An option goes by its path: `simclr.temperature`, `vat.finetune.lr`, `split.test`.
    """
    from ctlr.specs import use_files

    use_files(files)
    for line in _listed() if name is None else _explained(name):
        click.echo(line)


def _listed() -> Iterator[str]:
    from ctlr.specs import PART_TABLES, EncoderPart

    for what, table in PART_TABLES.items():
        yield {"method": "Methods", "encoder": "Encoders", "kind of data": "Kinds of data"}[what]
        width = max(map(len, table))
        for name, part in table.items():
            about = part.about if isinstance(part, EncoderPart) else part.about()
            plugin = table.origin(name)
            mark = f" [plug-in {plugin.name}]".replace(" ", HARD_SPACE) if plugin else ""
            yield from _wrapped(
                f"{name:{width}}  {about} {mark.lstrip(HARD_SPACE)}", INDENT, INDENT + " " * (width + 2)
            )
        yield ""
    yield "Sections of a benchmark file"
    yield from _wrapped(", ".join(_sections()), INDENT, INDENT)
    yield ""
    yield "`ctlr explain NAME` says more of one; `ctlr explain NAME.OPTION` of an option."


def _sections() -> list[str]:
    from ctlr.config import parts

    return [*SECTIONS, *PARTS, *parts()["Frame"]["properties"]]


# ---------------------------------------------------------------- one of them


def _explained(path: str) -> Iterator[str]:
    """What stands at a path: a part, whole or one of its options, or something at the top of the file."""
    from ctlr.config import json_schema, parts, schema_parts
    from ctlr.specs import PART_TABLES

    schema = json_schema()
    known, named = parts(schema), schema_parts(schema)
    keys = path.split(".")
    whats = list(PART_TABLES)
    if keys[0] in SECTIONS:
        whats = [SECTIONS[keys.pop(0)]]
        if not keys:
            raise ConfigError(f"{path}: name one of its parts. {nearest('', PART_TABLES[whats[0]])}")
    found = [what for what in whats if keys[0] in PART_TABLES[what]]
    for what in found:
        if len(keys) > 1:
            yield from _option(path, keys[1:], named[what, keys[0]], known)
        else:
            yield from _part(what, keys[0], named[what, keys[0]], known)
    if found:
        return
    if keys[0] in PARTS and len(whats) > 1:
        if len(keys) > 1:
            yield from _option(path, keys[1:], PARTS[keys[0]], known)
        else:
            yield path
            yield from _options(PARTS[path], known, {})
    elif keys[0] in known["Frame"]["properties"] and len(whats) > 1:
        yield from _option(path, keys, "Frame", known)
    else:
        names = [name for what in whats for name in PART_TABLES[what]] + (_sections() if len(whats) > 1 else [])
        what = whats[0] if len(whats) == 1 else "part or option"
        raise ConfigError(f"There is no {what} {keys[0]!r}. {nearest(keys[0], names)}")


def _part(what: str, name: str, part: str, known: Mapping[str, Any]) -> Iterator[str]:
    from ctlr.specs import PART_TABLES

    table = PART_TABLES[what]
    yield f"{name} ({what})"
    yield from _about(table[name])
    yield ""
    yield "Options"
    yield from _options(part, known, {})
    yield from _space(table[name])
    yield ""
    yield "Source"
    plugin = table.origin(name)
    if plugin:
        yield f"{INDENT}plug-in {plugin.name}, sha256 {plugin.sha256}"
    yield from _source(table[name])


def _about(part: Any) -> Iterator[str]:
    from ctlr.specs import EncoderPart

    if not isinstance(part, EncoderPart):
        yield from _paragraphs(inspect.getdoc(part) or "")
        return
    yield from _wrapped(part.about[0].upper() + part.about[1:] + ".")
    from ctlr.specs import images_of

    takes = " and ".join(map(images_of, part.dimensions))
    scaled = " and ".join(map(images_of, part.scaled_in))
    usually = " by default" if part.options else ""
    yield from _wrapped(
        f"Takes {takes}; {part.blocks} blocks to copy or freeze{usually}. "
        + (f"No side may be shorter than {part.least}{usually}. " if part.least > 1 else "")
        + (f"`width` applies to {scaled}. " if scaled else "It has one width. ")
        + ("" if part.has_norms else "It has no norm layers, so that `norm: group` does not apply. ")
        + (f"Weights of {part.published} can be loaded." if part.published else "")
    )


def _space(part: Any) -> Iterator[str]:
    """What a search tries of a method where nobody says otherwise."""
    from ctlr.specs import MethodSpec

    if not (isinstance(part, type) and issubclass(part, MethodSpec)):
        return
    space = part.model_validate_json(json.dumps(dict(part.example))).space(2)
    if space:
        yield ""
        yield "A search tries, on pictures"
        for option, dimension in space.items():
            yield from _wrapped(f"{option}: {dimension.words}")


def _source(part: Any) -> Iterator[str]:
    """File and line, and what the file says of itself: there stands the paper."""
    import sys

    from ctlr.specs import EncoderPart

    made = part.build if isinstance(part, EncoderPart) else part
    if isinstance(made, str):
        yield INDENT + _file_of(made.partition(":")[0])
        return
    module = sys.modules.get(made.__module__)
    try:
        line = f", line {inspect.getsourcelines(made)[1]}"
    except OSError:
        line = ""
    yield f"{INDENT}{getattr(module, '__file__', made.__module__)}{line}"
    yield from _wrapped(next(iter((getattr(module, "__doc__", "") or "").strip().splitlines()), ""))


def _file_of(module: str) -> str:
    """Where a module lies, without loading it or its package: they may bring torch, for which nobody waits."""
    import importlib.util

    top, *below = module.split(".")
    found = importlib.util.find_spec(top)
    if found is None or found.origin is None:
        return module
    place = Path(found.origin)
    for name in below:
        place = place.with_name(name)
        place = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    return str(place)


# ---------------------------------------------------------------- options


def _option(path: str, keys: Sequence[str], part: str, known: Mapping[str, Any]) -> Iterator[str]:
    """One option, and what is inside it with the defaults that it has there."""
    from ctlr.config import options_of

    given: Any = {}
    for depth, key in enumerate(keys):
        options = {option.name: option for option in options_of(part, known, section=str)}
        if key not in options:
            place = ".".join(path.split(".")[: len(path.split(".")) - len(keys) + depth])
            raise ConfigError(f"{place or 'A benchmark file'} has no option {key!r}. {nearest(key, options)}")
        option = options[key]
        inherited = given if isinstance(given, dict) else {}
        given = inherited.get(key, option.field.get("default", {}))
        inside = _part_inside(option.field)
        if depth < len(keys) - 1 and not inside:
            raise ConfigError(f"`{key}` holds a single value: there is nothing below it. Leave the rest out.")
        last, part = part, inside
    yield path
    yield from _one(option.name, last, known, inherited)
    if inside:
        yield ""
        yield "Options"
        yield from _options(inside, known, given if isinstance(given, dict) else {})


def _part_inside(field: Mapping[str, Any]) -> str:
    """Name of the part that an option takes, also where it may be null or is a list of such."""
    places = [field, *field.get("anyOf", ()), field.get("items", {})]
    return next((place["$ref"].rpartition("/")[2] for place in places if "$ref" in place), "")


def _options(part: str, known: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    for name in (option for option in known[part]["properties"] if option != "sweep"):
        yield from _one(name, part, known, given)


def _one(name: str, part: str, known: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[str]:
    """`temperature   number > 0, default 0.2`, and what it means."""
    from ctlr.config import options_of

    option = next(each for each in options_of(part, known, section=lambda _: "options") if each.name == name)
    default = json.dumps(given[name]) if name in given and not option.part else option.default
    nested = isinstance(given.get(name, option.field.get("default")), dict) and _part_inside(option.field)
    told = "required" if option.required else f"default {default}" if default and not nested else ""
    if name in ("method", "name") and part != "Frame":
        told = "default: the key"
    values = option.values.replace("`", "")
    yield from _wrapped(f"{name}: {values}" + (f"; {told}" if told else ""))
    yield from _wrapped(option.meaning, INDENT * 3, INDENT * 3)


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        if number:
            yield ""
        yield from _wrapped(" ".join(paragraph.split()))


def _wrapped(text: str, first: str = INDENT, others: str = INDENT * 2) -> list[str]:
    width = min(110, shutil.get_terminal_size((110, 24)).columns)
    lines = textwrap.wrap(text, width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)
    return [line.replace(HARD_SPACE, " ") for line in lines]
