"""`ctlr plugins`: parts of others, held against what CTLR expects of them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import rich_click as click

from ctlr.errors import ConfigError, nearest

__all__ = ["plugins"]


@click.group()
def plugins() -> None:
    """Methods, encoders and kinds of data of your own."""


@plugins.command("check")
@click.argument("plugin", metavar="FILE")
def check_parts(plugin: str) -> int:
    """Try the parts of a file of Python code, or of an installed package, against all that CTLR expects of them.

    Part by part it says what holds, and what is broken with file and line; the exit code is 1 if something is.
    """
    from ctlr.contracts import check_part

    broken, told = 0, ""
    for what, name in _parts_of(plugin):
        click.echo(f"{name} ({what})")
        with tempfile.TemporaryDirectory(prefix="ctlr-") as folder:
            for found in check_part(what, name, Path(folder)):
                click.echo(f"  {'broken' if found.fault else 'holds '}  {found.promise}")
                if found.fault:
                    broken += 1
                    fault = f"{found.place + ': ' if found.place else ''}{found.fault}"
                    click.echo(f"          {'as above' if fault == told else fault}")
                    told = fault
        click.echo()
    click.echo(f"{broken} broken" if broken else "All promises are kept.")
    return 1 if broken else 0


def _parts_of(plugin: str) -> list[tuple[str, str]]:
    """What a file or a package brings, by what it is and its name."""
    from ctlr.specs import parts_of_others, plugin_of, use_files

    if plugin.endswith(".py"):
        use_files([Path(plugin)])
        found = parts_of_others().get(plugin_of(Path(plugin)))
        if not found:
            raise ConfigError(
                f"{plugin} holds no method, encoder or kind of data. A method is a class that inherits from "
                '`MethodSpec` and says `method: Literal["its name"] = "its name"`; see the page on adding parts.'
            )
        return found
    packages = {each.name.partition(" ")[0]: parts for each, parts in parts_of_others().items()}
    if plugin not in packages:
        known = nearest(plugin, packages) if packages else "No package brings any."
        raise ConfigError(f"There is no file of Python code and no package with parts called {plugin!r}. {known}")
    return packages[plugin]
