"""Runs for TensorBoard, read back by TensorBoard's own reader."""

import socket
import subprocess
import sys
from getpass import getuser
from pathlib import Path
from typing import Any

import pytest

from ctlr.tracking import Board, BoardRun, Point

pytest.importorskip("tensorboard", reason="ctlr[tensorboard] is not installed")

ENDED = 1_700_000_000.5
CURVES = [
    Point("epoch/loss", 2.0, 1), Point("epoch/seconds", 10.0, 1), Point("epoch/loss", 1.0, 2),
    Point("epoch/seconds", 30.0, 2),
]  # fmt: skip


def run(name: str = "demo/studies/first", **changes: Any) -> BoardRun:
    given: dict[str, Any] = {
        "curves": CURVES, "finals": [Point("test_mae", 8.5, 0)], "ended": ENDED,
        "params": {"method": "vat", "lr": 0.001, "refit": True},
    }  # fmt: skip
    return BoardRun(name=name, **given | changes)


def read(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(folder)).Reload()


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_curves_have_their_epochs_and_the_times_at_which_these_ended(tmp_path: Path) -> None:
    assert Board(tmp_path).write([run()], below="demo", judged_by=["test_mae"]) == 1
    found = read(tmp_path / "demo/studies/first")
    assert found.Tags()["scalars"] == ["epoch/loss", "final/test_mae"]
    loss = [(event.wall_time, event.step, event.value) for event in found.Scalars("epoch/loss")]
    assert loss == [(ENDED - 30, 1, 2.0), (ENDED, 2, 1.0)]
    assert found.Scalars("final/test_mae")[0].value == 8.5


def test_hyperparameters_and_the_end_are_told_as_tensorboards_table_reads_them(tmp_path: Path) -> None:
    from tensorboard.plugins.hparams import api_pb2, metadata

    board = Board(tmp_path)
    board.write(
        [run(), run("demo/studies/second", params={"method": "scratch"}, failed=True)],
        below="demo",
        judged_by=["test_mae"],
    )
    board.finish()

    def told(folder: Path, tag: str) -> bytes:
        content: bytes = read(folder).SummaryMetadata(tag).plugin_data.content
        return content

    first = tmp_path / "demo/studies/first"
    start = metadata.parse_session_start_info_plugin_data(told(first, metadata.SESSION_START_INFO_TAG))
    assert {name: value.WhichOneof("kind") for name, value in start.hparams.items()} == {
        "method": "string_value", "lr": "number_value", "refit": "string_value",
    }  # fmt: skip
    assert (start.hparams["method"].string_value, start.hparams["lr"].number_value) == ("vat", 0.001)
    assert start.start_time_secs == ENDED - 40
    ends = [
        metadata.parse_session_end_info_plugin_data(
            told(tmp_path / "demo/studies" / name, "_hparams_/session_end_info")
        )
        for name in ("first", "second")
    ]
    assert [end.status for end in ends] == [api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE]
    experiment = metadata.parse_experiment_plugin_data(told(tmp_path, metadata.EXPERIMENT_TAG))
    assert [info.name for info in experiment.hparam_infos] == ["method", "lr", "refit"]
    assert [info.name.tag for info in experiment.metric_infos] == ["final/test_mae"]


def test_what_stands_there_already_is_not_written_again(tmp_path: Path) -> None:
    def write(*runs: BoardRun) -> int:
        board = Board(tmp_path)
        written = board.write(runs, below="demo", judged_by=["test_mae"])
        board.finish()
        return written

    assert write(run()) == 1
    before = files(tmp_path)
    assert write(run()) == 0
    assert files(tmp_path) == before
    assert write(run(), run("demo/studies/second")) == 1
    assert before.keys() - files(tmp_path).keys() == set()
    assert len(files(tmp_path)) == 3


def test_what_came_of_other_data_or_is_no_part_any_more_is_gone(tmp_path: Path) -> None:
    stranger = tmp_path / "demo/studies/first/events.out.tfevents.1700000000.somebody.1"
    for runs in ([run(), run("demo/studies/second")], [run(finals=[Point("test_mae", 21.5, 0)])]):
        Board(tmp_path).write(runs, below="demo", judged_by=["test_mae"])
        stranger.touch()
    assert [event.value for event in read(stranger.parent).Scalars("final/test_mae")] == [21.5]
    assert not (tmp_path / "demo/studies/second").exists()
    assert stranger.exists()


def test_other_benchmarks_of_the_folder_stay(tmp_path: Path) -> None:
    Board(tmp_path).write([run("other/studies/first")], below="other", judged_by=["test_mae"])
    Board(tmp_path).write([], below="demo", judged_by=[])
    assert read(tmp_path / "other/studies/first").Tags()["scalars"] == ["epoch/loss", "final/test_mae"]


def test_no_file_names_the_machine_or_its_user(tmp_path: Path) -> None:
    Board(tmp_path).write([run()], below="demo", judged_by=["test_mae"])
    ((name, content),) = files(tmp_path).items()
    for word in (f".{socket.gethostname()}.", str(tmp_path), getuser()):
        assert word not in name
        assert word.encode() not in content


def test_without_the_package_the_extra_is_named() -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from ctlr.errors import MissingExtraError\n"
        "from ctlr.tracking import Board\n"
        "class Gone:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'tensorboard':\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "try:\n    Board(Path('board'))\nexcept MissingExtraError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "pip install 'ctlr[tensorboard]'" in done.stdout
