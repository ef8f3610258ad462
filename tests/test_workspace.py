import contextlib
import errno
import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flushed import Disk
from hypothesis import given, settings
from hypothesis import strategies as st

from ctlr.durable import LIST
from ctlr.errors import TakenOver, WorkspaceError
from ctlr.workspace import FORMAT, Workspace, disk_faults_named, write_aside


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@contextlib.contextmanager
def small_files_only() -> Iterator[None]:
    """Have the kernel break off any write beyond 64 kB."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_workspace_is_made_where_there_is_none_and_found_again(tmp_path: Path) -> None:
    Workspace(tmp_path / "deep" / "workspace")
    assert json.loads((tmp_path / "deep" / "workspace" / "workspace.json").read_text()) == {"format": FORMAT}
    Workspace(str(tmp_path / "deep" / "workspace"))


@pytest.mark.parametrize("name", ["last.json", "began", "rates.json"])
def test_a_folder_in_the_place_of_a_file_is_named_with_what_to_remove(workspace: Workspace, name: str) -> None:
    (workspace.root / name).mkdir()
    with pytest.raises(WorkspaceError, match=f"{name} must be a file, and a folder stands in its place. Remove that"):
        write_aside(workspace.root / name, b"")
    assert sorted(path.name for path in workspace.root.iterdir()) == sorted([name, "workspace.json"])


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(workspace: Workspace) -> None:
    folder = workspace.root / "studies" / "a"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "result.json")
    with pytest.raises(WorkspaceError, match="Remove the folder"):
        workspace.read("studies", "a", "result.json", json.loads)
    (workspace.root / "workspace.json").unlink()
    (workspace.root / "workspace.json").mkdir()
    with pytest.raises(WorkspaceError, match="workspace.json must be a file, and is none. Remove it, put a file that"):
        Workspace(workspace.root)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_lock_that_is_no_file_is_named_and_not_waited_for(workspace: Workspace, make: Callable[[Path], None]) -> None:
    make(workspace.root / "lock")
    with pytest.raises(WorkspaceError, match="lock must be a file, and is none. Remove it"), workspace.shared():
        pass


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("dear")
    with pytest.raises(WorkspaceError, match=r"holds other things \(thesis.tex\). Name an empty or new folder."):
        Workspace(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_workspace_of_another_version_is_refused(workspace: Workspace) -> None:
    (workspace.root / "workspace.json").write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(WorkspaceError, match=f"has workspace format {FORMAT + 1}; this CTLR writes format {FORMAT}"):
        Workspace(workspace.root)


@pytest.mark.parametrize("text", ["{", "[]", "{}", "7", "null", "[" * 100_000, "\0"])
def test_a_damaged_marker_is_refused(workspace: Workspace, text: str) -> None:
    (workspace.root / "workspace.json").write_text(text)
    with pytest.raises(WorkspaceError, match=r"workspace.json is damaged: .* Write ..format.: 2. into it"):
        Workspace(workspace.root)


@pytest.mark.parametrize("text", ["null", "[]", "[" * 100_000, "\0"])
def test_a_result_that_cannot_be_read_is_named_with_what_to_remove(workspace: Workspace, text: str) -> None:
    folder = workspace.folder("rates", "a1")
    folder.mkdir(parents=True)
    (folder / "x.json").write_text(text)
    told = f"rates/a1/x.json in .* is missing or damaged. Remove the folder {folder} and run again"
    with pytest.raises(WorkspaceError, match=told):
        workspace.read("rates", "a1", "x.json", lambda content: json.loads(content)["rate"])


def test_what_killed_processes_were_writing_goes_when_a_run_begins(workspace: Workspace) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom ctlr.workspace import write_aside\n"
        "os.fsync = lambda _: os._exit(9)\n"
        "write_aside(Path(sys.argv[1]), b'half')"
    )
    tables = workspace.root / "reports" / "mine" / "tables"
    tables.mkdir(parents=True)
    for place in (workspace.root / "last.json", tables / "scores.csv"):
        assert subprocess.run([sys.executable, "-c", code, place], check=False).returncode == 9
    held = workspace.root / ".of-a-living-one.aside"
    with held.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert len(list(workspace.root.rglob(".*.aside"))) == 3
        with workspace.working():
            assert list(workspace.root.rglob(".*.aside")) == [held]


def test_a_marker_that_a_power_cut_emptied_is_written_again(workspace: Workspace) -> None:
    (workspace.root / "studies").mkdir()
    (workspace.root / "workspace.json").write_text("")
    Workspace(workspace.root)
    assert json.loads((workspace.root / "workspace.json").read_text()) == {"format": FORMAT}


def test_a_result_appears_whole_or_not_at_all(workspace: Workspace) -> None:
    with workspace.publish("arrays", "a1") as folder:
        (folder / "x").write_text("1")
        assert not workspace.has("arrays", "a1")
    assert workspace.has("arrays", "a1")
    assert (workspace.folder("arrays", "a1") / "x").read_text() == "1"
    assert not folder.exists()


def begin_and_break(workspace: Workspace, kind: str, error: BaseException, *, resumable: bool) -> None:
    with workspace.publish(kind, "a1", resumable=resumable) as folder:
        (folder / "checkpoint").write_text("epoch 3")
        raise error


def test_a_step_that_fails_leaves_nothing(workspace: Workspace) -> None:
    with pytest.raises(RuntimeError, match="broke"):
        begin_and_break(workspace, "arrays", RuntimeError("broke"), resumable=False)
    assert not workspace.has("arrays", "a1")
    assert list((workspace.root / "arrays").iterdir()) == []


def test_a_resumable_step_finds_what_it_left(workspace: Workspace) -> None:
    with pytest.raises(KeyboardInterrupt):
        begin_and_break(workspace, "studies", KeyboardInterrupt(), resumable=True)
    assert not workspace.has("studies", "a1")
    with workspace.publish("studies", "a1", resumable=True) as folder:
        assert (folder / "checkpoint").read_text() == "epoch 3"
    assert workspace.has("studies", "a1")


def test_a_resumable_step_drops_what_a_killed_attempt_was_writing(workspace: Workspace) -> None:
    left = workspace.root / "finetuned" / "a1.partial"
    (left / "fit").mkdir(parents=True)
    (left / "fit" / "best.safetensors").write_text("epoch 3")
    (left / "fit" / ".best.safetensors.717.aside").write_text("half of epoch 4")
    with workspace.publish("finetuned", "a1", resumable=True) as folder:
        assert [path.name for path in (folder / "fit").iterdir()] == ["best.safetensors"]


def test_a_step_that_does_not_resume_starts_empty(workspace: Workspace) -> None:
    left = workspace.root / "arrays" / "a1.partial"
    left.mkdir(parents=True)
    (left / "half").write_text("killed here")
    with workspace.publish("arrays", "a1") as folder:
        assert list(folder.iterdir()) == []


def test_a_result_that_is_there_stays_when_a_late_one_comes(workspace: Workspace) -> None:
    for text in ("first", "late"):
        with workspace.publish("arrays", "a1") as folder:
            (folder / text).write_text(text)
    assert {path.name for path in workspace.folder("arrays", "a1").iterdir()} == {"first", LIST}
    assert [path.name for path in (workspace.root / "arrays").iterdir()] == ["a1"]


def test_a_damaged_result_is_replaced(workspace: Workspace) -> None:
    for text in ("old", "new"):
        with workspace.publish("arrays", "a1") as folder:
            (folder / "x").write_text(text)
        if text == "old":
            (workspace.folder("arrays", "a1") / "x").write_text("")
    assert (workspace.folder("arrays", "a1") / "x").read_text() == "new"
    assert [path.name for path in (workspace.root / "arrays").iterdir()] == ["a1"]


def wake_too_late(workspace: Workspace, *, resumable: bool) -> None:
    """While a worker is frozen its claim goes, and another one does its step."""
    with workspace.publish("studies", "a1", resumable=resumable) as folder:
        (folder / "x").write_text("the first one's")
        (workspace.root / "claims" / "studies-a1").unlink()
        program = f"""
from ctlr.workspace import Workspace
with Workspace({str(workspace.root)!r}).publish("studies", "a1", resumable={resumable}) as folder:
    (folder / "x").write_text("the second one's")
"""
        subprocess.run([sys.executable, "-c", program], check=True)
        (folder / "y").write_text("written after waking")


@pytest.mark.parametrize("resumable", [True, False])
def test_what_a_frozen_worker_makes_after_its_step_was_taken_over_is_dropped(
    workspace: Workspace, resumable: bool
) -> None:
    with pytest.raises(TakenOver, match="another worker has taken this step over"):
        wake_too_late(workspace, resumable=resumable)
    result = workspace.folder("studies", "a1")
    assert {path.name: path.read_text() for path in result.iterdir() if path.name != LIST} == {"x": "the second one's"}
    assert [path.name for path in result.parent.iterdir()] == ["a1"]
    assert workspace.has("studies", "a1")


def test_what_an_overtaken_worker_left_when_it_was_killed_goes_when_a_run_begins(workspace: Workspace) -> None:
    with workspace.publish("studies", "a1") as folder:
        (folder / "x").write_text("the other one's")
    for name in ("a1.0c0ffee0.partial", "a2.0c0ffee0.partial"):
        (workspace.root / "studies" / name).mkdir()
    with workspace.working():
        pass
    assert {path.name for path in (workspace.root / "studies").iterdir()} == {"a1", "a2.0c0ffee0.partial"}
    assert workspace.has("studies", "a1")


def test_an_attempt_of_an_older_version_is_gone_on_with(workspace: Workspace) -> None:
    left = workspace.root / "finetuned" / "a1.partial"
    left.mkdir(parents=True)
    (left / "checkpoint").write_text("epoch 3")
    with workspace.publish("finetuned", "a1", resumable=True) as folder:
        assert (folder / "checkpoint").read_text() == "epoch 3"
    assert [path.name for path in left.parent.iterdir()] == ["a1"]


def test_a_folder_that_others_fill_too_keeps_its_name(workspace: Workspace) -> None:
    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt), workspace.publish(
            "searches", "a1", resumable=True, shared=True
        ) as folder, (folder / "journal").open("a") as journal:  # fmt: skip
            journal.write("x")
            raise KeyboardInterrupt
    assert (workspace.root / "searches" / "a1.partial" / "journal").read_text() == "xx"


def test_a_killed_process_leaves_no_result(workspace: Workspace) -> None:
    program = f"""
import time
from ctlr.workspace import Workspace
with Workspace({str(workspace.root)!r}).publish("arrays", "a1") as folder:
    (folder / "half").write_text("x")
    print("writing", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        process.kill()
    assert not workspace.has("arrays", "a1")
    assert not Workspace(workspace.root).has("arrays", "a1")


OTHER_RUN = """
import sys
from ctlr.errors import WorkspaceError
from ctlr.workspace import Workspace
try:
    with Workspace(sys.argv[1]).working(join="join" in sys.argv) as leads:
        print("leads" if leads else "helps", flush=True)
        if "stay" in sys.argv:
            sys.stdin.read()
except WorkspaceError as error:
    print(error)
"""


def other_run(workspace: Workspace, *words: str) -> str:
    command = [sys.executable, "-c", OTHER_RUN, str(workspace.root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout.strip()


def test_a_second_run_is_refused_with_the_number_of_the_first_unless_it_joins(workspace: Workspace) -> None:
    with workspace.working() as leads:
        assert leads
        assert other_run(workspace) == (
            f"{workspace.root} is in use by another run (process {os.getpid()} on {socket.gethostname()}). "
            "Wait for it to end, work beside it with `--join`, or name another --workspace."
        )
        assert other_run(workspace, "join") == "helps"
        assert workspace.is_led()
    assert not workspace.is_led()
    assert other_run(workspace) == "leads"
    assert other_run(workspace, "join") == "leads"


def test_the_place_of_a_killed_run_is_free(workspace: Workspace) -> None:
    command = [sys.executable, "-c", OTHER_RUN, str(workspace.root), "stay"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
    with workspace.working() as leads:
        assert leads


def test_an_older_ctlr_and_this_one_keep_each_other_out(workspace: Workspace) -> None:
    """The older one locks `lock` for itself alone, and refuses a format that it does not know."""
    (workspace.root / "workspace.json").write_text('{"format": 1}')
    with (workspace.root / "lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.write("process 7 on there")
        lock.flush()
        assert other_run(workspace, "join").startswith(
            f"{workspace.root} is in use by a run of an older CTLR (process 7 on there). Wait for it to end"
        )
    with workspace.working(), (workspace.root / "lock").open("a+") as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert json.loads((workspace.root / "workspace.json").read_text()) == {"format": 2}


def test_when_a_run_began_is_told_by_the_file_systems_clock(workspace: Workspace) -> None:
    assert workspace.began() == 0
    with workspace.working():
        began = workspace.began()
    (workspace.root / "later").touch()
    assert 0 < began <= (workspace.root / "later").stat().st_mtime


def test_a_pseudonym_is_the_same_within_a_workspace_only(workspace: Workspace, tmp_path: Path) -> None:
    name = workspace.pseudonym("sub-001")
    assert name == Workspace(workspace.root).pseudonym("sub-001")
    assert name != workspace.pseudonym("sub-002")
    assert name != Workspace(tmp_path / "other").pseudonym("sub-001")
    assert len(name) == 12
    assert int(name, 16) >= 0


def test_the_key_of_the_pseudonyms_is_the_owners_alone(workspace: Workspace) -> None:
    workspace.pseudonym("sub-001")
    assert (workspace.root / "key").stat().st_mode & 0o777 == 0o600
    assert len((workspace.root / "key").read_bytes()) == 32


def test_a_key_that_a_power_cut_took_is_never_an_empty_one(tmp_path: Path) -> None:
    disk = Disk()
    with disk.watched():
        workspace = Workspace(tmp_path / "workspace")
        name = workspace.pseudonym("sub-001")
        disk.leave_flushed_names(workspace.root, tmp_path / "left")
    assert Workspace(tmp_path / "left").pseudonym("sub-001") == name
    (workspace.root / "key").write_bytes(b"")
    new = workspace.pseudonym("sub-001")
    assert new == workspace.pseudonym("sub-001") != name
    assert len((workspace.root / "key").read_bytes()) == 32


@settings(max_examples=20, deadline=None)
@given(data=st.binary(max_size=200))
def test_a_file_written_aside_holds_what_was_written(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "aside.bin"
    write_aside(path, data)
    assert path.read_bytes() == data


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    write_aside(path, b"old")
    with small_files_only(), pytest.raises(WorkspaceError, match="a file is larger .* allows. Raise `ulimit -f`"):
        write_aside(path, b"x" * 1_000_000)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights"]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "The disk of .* is full. What is finished is safe: free some space"),
        (errno.EDQUOT, "The disk of .* is full"),
        (errno.EROFS, "cannot be written. Grant write access, or name another folder"),
        (errno.EACCES, "cannot be written"),
        (errno.EMFILE, "too many files are open for this process. Raise `ulimit -n`"),
        (errno.ENAMETOOLONG, "a name is longer than the file system takes. Choose a shorter one"),
    ],
)
def test_faults_of_the_disk_name_the_remedy(tmp_path: Path, number: int, message: str) -> None:
    with pytest.raises(WorkspaceError, match=message), disk_faults_named(tmp_path):
        raise OSError(number, os.strerror(number))


def test_other_faults_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output error") as caught, disk_faults_named(tmp_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert not isinstance(caught.value, WorkspaceError)


def test_a_device_without_space_is_a_full_disk() -> None:
    full = Path("/dev/full")
    with pytest.raises(WorkspaceError, match="is full"), disk_faults_named(full.parent), full.open("wb", 0) as file:
        file.write(b"x")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(WorkspaceError, match="Grant write access, or name another folder"):
            Workspace(tmp_path / "workspace")
    finally:
        tmp_path.chmod(0o700)


WRITER = """
import os, sys
from pathlib import Path
from ctlr.workspace import Workspace, write_aside
print(os.getpid(), flush=True)
sys.stdin.readline()
for number in range(300):
    write_aside(Path(sys.argv[1]) / "shared.json", (f'"{number}"' * 1000).encode())
    Workspace(Path(sys.argv[1]) / f"workspace-{number}")
"""


def test_pods_whose_processes_have_equal_numbers_write_at_once(tmp_path: Path) -> None:
    alone = ["unshare", "--pid", "--fork", "--map-root-user"]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("there is no unshare that makes a pid namespace")
    writers = [
        subprocess.Popen(
            [*alone, sys.executable, "-c", WRITER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    pids = [writer.stdout.readline() for writer in writers if writer.stdout is not None]
    for writer in writers:
        assert writer.stdin is not None
        print("go", file=writer.stdin, flush=True)
    ends = [writer.communicate() for writer in writers]
    assert pids[0] == pids[1]
    assert [err for _, err in ends] == ["", ""]
    assert [json.loads((tmp_path / f"workspace-{n}" / "workspace.json").read_text()) for n in range(300)] == [
        {"format": FORMAT}
    ] * 300
