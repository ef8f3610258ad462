import subprocess
import sys

import pytest

from ctlr import errors
from ctlr.errors import CtlrError, DataError, LeakageError, MissingExtraError, nearest, require


@pytest.mark.parametrize(
    ("name", "code"),
    [("ConfigError", 2), ("MissingExtraError", 2), ("DataError", 1), ("WorkspaceError", 1), ("TrainingError", 1)],
)
def test_each_error_has_its_exit_code(name: str, code: int) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, CtlrError)
    assert kind.exit_code == code


def test_a_message_repeats_no_thousands_of_characters() -> None:
    error = DataError(f"got {'x' * 5000!r}. Correct it.\n{'a b ' * 2000}", place="y" * 300)
    first, second = str(error).split("\n")
    assert first == f"{'y' * 100}…{'y' * 59}: got '{'x' * 99}…{'x' * 58}'. Correct it."
    assert second == "a b " * 250 + "…" + "a b " * 250  # the place begins it, the remedy ends it
    assert len(error.reason) < 2300
    assert str(DataError("z" * 240)) == "z" * 240


def test_a_leak_is_a_fault_of_the_data() -> None:
    assert issubclass(LeakageError, DataError)


def test_the_nearest_known_name_is_offered() -> None:
    assert nearest("simlcr", ["vat", "simclr", "mean"]) == "Did you mean 'simclr'? Known: mean, simclr, vat."


def test_a_name_far_from_all_gets_the_list_alone() -> None:
    assert nearest("zzz", ["vat", "mean"]) == "Known: mean, vat."


def test_a_missing_package_names_its_extra() -> None:
    with pytest.raises(MissingExtraError, match=r"package 'no_such_package'.*pip install 'ctlr\[tracking\]'"):
        require("no_such_package.part", extra="tracking")


def test_a_package_that_misses_another_is_not_blamed_on_the_extra(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "broken_package.py").write_text("import no_such_package")
    program = "from ctlr.errors import require; require('broken_package', extra='tracking')"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env={"PYTHONPATH": str(folder)}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.strip().endswith("ModuleNotFoundError: No module named 'no_such_package'")


def test_what_is_there_is_imported() -> None:
    assert require("json.decoder", extra="tracking").__name__ == "json.decoder"
