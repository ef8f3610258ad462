"""`ctlr completion`: what bash, zsh and fish run when somebody presses the tab key.

Click finds out which parameter is meant; the scripts here are ours. Bash takes `=` and `:` for ends of words, so that
`--set seeds=` is three words for it, and no script of Click's puts a value together again; all three would set a space
behind `--set training.`, where more is to come. Nothing is ever printed at a prompt but candidates.
"""

from __future__ import annotations

import os
from typing import ClassVar

import rich_click as click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

__all__ = ["OPEN", "PATH", "completion"]

OPEN = "open"
"""Type of a candidate with more to come behind it, e.g. `training.`: no space follows."""
PATH = "path"
"""Type of a candidate that names a file or a folder; a folder that is not what is looked for ends with a slash."""

_BASH = """\
%(complete_func)s() {
    local kind value
    COMPREPLY=()
    compopt -o nospace 2>/dev/null
    while IFS=, read -r kind value; do
        case $kind in
            dir) compopt +o nospace -o dirnames ;;
            file) compopt +o nospace -o default ;;
            path) compopt +o nospace -o filenames; COMPREPLY+=("$value") ;;
            open) COMPREPLY+=("$value") ;;
            plain) COMPREPLY+=("$value ") ;;
        esac 2>/dev/null
    done < <(COMP_LINE="${COMP_LINE:0:$COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
%(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s 2>/dev/null || complete -F %(complete_func)s %(prog_name)s
"""
"""A `plain` candidate brings its space along, since bash can leave it out for all of them alone. 4.4 knows `nosort`."""

_ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local -a whole open files folders
    local line kind value
    for line in "${(@f)$(COMP_LINE="${words[1,CURRENT-1]} $PREFIX" \
%(complete_var)s=zsh_complete ${~words[1]} 2>/dev/null)}"; do
        kind=${line%%%%,*} value=${line#*,}
        case $kind in
            dir) _path_files -/ ;;
            file) _path_files ;;
            path) if [[ $value == */ ]]; then folders+=("$value"); else files+=("$value"); fi ;;
            open) open+=("$value") ;;
            plain) whole+=("$value") ;;
        esac
    done
    (( $#open )) && _describe -V open open -U -S ''
    (( $#whole )) && _describe -V whole whole -U
    (( $#folders )) && compadd -U -f -V folders -S '' -a folders
    (( $#files )) && compadd -U -f -V files -a files
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    set -l program (commandline -opc)[1]
    for line in (env COMP_LINE=(commandline -cp | string collect) %(complete_var)s=fish_complete $program 2>/dev/null)
        set -l item (string split -m1 ',' -- $line)
        switch $item[1]
            case dir
                __fish_complete_directories (commandline -ct)
            case file
                __fish_complete_path (commandline -ct)
            case path open plain
                echo $item[2]
        end
    end
end
complete --no-files --keep-order --command %(prog_name)s --arguments '(%(complete_func)s)'
"""
"""Fish itself leaves the space out behind `.`, `=` and `/`."""

_END = "\0"


class _Completed(ShellComplete):
    """Reads the line up to the cursor, as every shell gives it."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Whole words of the line but the program, and the one that is not whole."""
        _, *words, last = split_arg_string(os.environ.get("COMP_LINE", "") + _END) or ["", ""]
        return words, last.rstrip(_END)

    def complete(self) -> str:
        """A candidate a line."""
        words, last = self.get_completion_args()
        option, equals, _ = last.partition("=")
        given = f"{option}=" if equals and option.startswith("--") else ""  # Click completes what stands behind it
        if words and words[-1].startswith("-") and words[-1] != "--" and "=" not in words[-1]:
            # Click's parser forgets all that it has read where it meets an option without a value.
            words, last = words[:-1], f"{words[-1]}={last}"
        return "\n".join(self._line(item, given) for item in self.get_completions(words, last))

    def _line(self, item: CompletionItem[str], given: str) -> str:
        if given and item.type not in ("dir", "file"):
            item = CompletionItem(given + item.value, item.type, item.help)
        return self.format_completion(item)


@add_completion_class
class _Bash(_Completed, BashComplete):
    source_template: ClassVar[str] = _BASH

    def source(self) -> str:
        """The script; it looks for itself what this bash knows."""
        return self.source_template % self.source_vars()

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Without what stands before a sign that ends a word for bash: it keeps that itself."""
        last = self.get_completion_args()[1]
        breaks = [last.rfind(sign) for sign in "=:@" if sign in os.environ.get("COMP_WORDBREAKS", "=:")]
        return f"{item.type},{item.value[max(breaks, default=-1) + 1 :]}"


@add_completion_class
class _Zsh(_Completed, ZshComplete):
    source_template: ClassVar[str] = _ZSH

    def format_completion(self, item: CompletionItem[str]) -> str:
        """With its words behind a colon, as `_describe` takes them."""
        if item.type == PATH:
            return f"{PATH},{item.value}"
        value = item.value.replace(":", r"\:")
        return f"{item.type},{value}:{' '.join(item.help.split())}" if item.help else f"{item.type},{value}"


@add_completion_class
class _Fish(_Completed, FishComplete):
    source_template: ClassVar[str] = _FISH

    def format_completion(self, item: CompletionItem[str]) -> str:
        """With its words behind a tab."""
        words = f"\t{' '.join(item.help.split())}" if item.help else ""
        return f"{item.type},{item.value}{words}"


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a shell's completion script, e.g. `ctlr completion bash >> ~/.bashrc`.

    For zsh likewise (`~/.zshrc`, below `autoload -Uz compinit && compinit`); for fish
    `ctlr completion fish > ~/.config/fish/completions/ctlr.fish`.
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(context.find_root().command, {}, "ctlr", "_CTLR_COMPLETE").source())
