"""Claims: among threads, processes, machines with wrong clocks, and volumes that know no locks.

Another machine is a process whose boot id is another one: what differs between machines is whether locks are believed.
"""

import contextlib
import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ctlr import claims
from ctlr.claims import claimed, exclusively, holder_of, is_claimed, time_there


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "claims").mkdir()
    return tmp_path


HOLDER = """
import sys, time
from pathlib import Path
from ctlr import claims
claims.BEAT_SECONDS = float(sys.argv[2])
if sys.argv[3]:
    claims._machine = lambda place: sys.argv[3] + " "
with claims.claimed(Path(sys.argv[1]), "studies", "a1") as free:
    print(free, flush=True)
    sys.stdin.readline()
"""


class Holder:
    """Another process that holds the claim of study a1, on this machine or on one called so."""

    def __init__(self, root: Path, *, beat: float = 0.1, machine: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, root, str(beat), machine], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.free = self.process.stdout.readline().strip() == "True"

    def let_go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def hold(root: Path, request: pytest.FixtureRequest) -> Callable[..., Holder]:
    def hold(**options: object) -> Holder:
        holder = Holder(root, **options)  # type: ignore[arg-type]
        request.addfinalizer(holder.end)
        return holder

    return hold


def is_free(root: Path) -> bool:
    with claimed(root, "studies", "a1") as free:
        return free


@pytest.fixture
def shared_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    """The volume is one that other machines mount too."""
    monkeypatch.setattr(claims, "_kind_of", lambda device: "nfs4")


def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The volume answers as NFS without its lock daemon does."""

    def flock(place: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)


def test_a_result_is_one_workers_until_it_gives_it_back(root: Path, hold: Callable[..., Holder]) -> None:
    holder = hold()
    assert holder.free
    assert not is_free(root)
    assert is_claimed(root, "studies", "a1")
    assert holder_of(root, "studies", "a1") == f"process {holder.process.pid} on {os.uname().nodename}"
    holder.let_go()
    assert is_free(root)
    assert not is_claimed(root, "studies", "a1")
    assert holder_of(root, "studies", "a1") == ""
    assert list((root / "claims").iterdir()) == []


@pytest.mark.usefixtures("shared_volume")
def test_a_machine_that_takes_a_claim_asks_the_server_what_is_made_already(root: Path) -> None:
    """A client of NFS believes for up to a minute that a result is not there; writing to the folder ends that."""
    (root / "studies").mkdir()
    os.utime(root / "studies", (0, 0))
    with claimed(root, "studies", "a1"):
        assert (root / "studies").stat().st_mtime > 0
    assert list((root / "studies").iterdir()) == []
    with claimed(root, "pretrained", "a1") as free:  # of which there is none yet
        assert free


def test_other_results_are_free(root: Path, hold: Callable[..., Holder]) -> None:
    hold()
    for kind, identity in (("studies", "a2"), ("pretrained", "a1")):
        with claimed(root, kind, identity) as free:
            assert free


def test_who_holds_a_claim_may_claim_again_and_others_wait_for_the_first(root: Path) -> None:
    with claimed(root, "studies", "a1") as outer:
        with claimed(root, "studies", "a1") as inner:
            assert (outer, inner) == (True, True)
        assert is_claimed(root, "studies", "a1")
    assert not is_claimed(root, "studies", "a1")


def test_threads_of_a_process_are_not_one_worker(root: Path) -> None:
    found: list[bool] = []
    with claimed(root, "studies", "a1"):
        thread = threading.Thread(target=lambda: found.append(is_free(root)))
        thread.start()
        thread.join()
    assert found == [False]


def test_a_killed_workers_claim_is_free_at_once_on_its_machine(root: Path, hold: Callable[..., Holder]) -> None:
    hold().kill()
    assert len(list((root / "claims").iterdir())) == 1
    assert not is_claimed(root, "studies", "a1")
    assert is_free(root)


def test_a_claim_that_a_power_cut_left_on_a_disk_of_ones_own_is_free_at_once(root: Path) -> None:
    if claims._kind_of(root.stat().st_dev) not in claims._LOCAL:
        pytest.skip("temporary files lie on no file system that is known to be this machine's alone")
    for left in (b"", b"0d1c-an-earlier-boot 2049 ab12 for process 7 on here"):
        (root / "claims" / "studies-a1").write_bytes(left)
        assert is_free(root)


@pytest.mark.usefixtures("shared_volume")
def test_the_same_on_a_volume_that_others_mount_is_theirs_for_the_lease(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "claims" / "studies-a1").write_bytes(b"")
    assert not is_free(root)
    monkeypatch.setattr(claims, "LEASE_SECONDS", 0.0)
    assert is_free(root)


def test_a_frozen_worker_keeps_its_claim_on_its_machine(root: Path, hold: Callable[..., Holder], monkeypatch) -> None:
    monkeypatch.setattr(claims, "LEASE_SECONDS", 0.2)
    holder = hold()
    holder.process.send_signal(signal.SIGSTOP)
    time.sleep(0.4)
    try:
        assert not is_free(root)
    finally:
        holder.process.send_signal(signal.SIGCONT)


@pytest.mark.usefixtures("shared_volume")
@pytest.mark.parametrize("locks", [True, False])
def test_a_dead_worker_of_another_machine_keeps_its_claim_for_the_lease(
    root: Path, hold: Callable[..., Holder], monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    hold(machine="elsewhere").kill()
    if not locks:
        no_locks(monkeypatch)
    assert not is_free(root)
    monkeypatch.setattr(claims, "LEASE_SECONDS", 0.3)
    time.sleep(0.4)
    assert is_free(root)


@pytest.mark.usefixtures("shared_volume")
@pytest.mark.parametrize("machine", ["", "elsewhere"])
def test_where_locks_are_unknown_a_beating_heart_keeps_the_claim(
    root: Path, hold: Callable[..., Holder], monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    no_locks(monkeypatch)
    monkeypatch.setattr(claims, "LEASE_SECONDS", 1.0)
    hold(beat=0.1, machine=machine)
    until = time.monotonic() + 2
    while time.monotonic() < until:
        assert not is_free(root)
        time.sleep(0.05)


@pytest.mark.usefixtures("shared_volume")
@pytest.mark.parametrize("minutes", [-420, 0, 420])
def test_the_clock_of_who_beats_does_not_matter(root: Path, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """On CephFS, Lustre and sshfs a touch bears the time of the machine that touches."""
    monkeypatch.setattr(claims, "LEASE_SECONDS", 0.5)
    path = root / "claims" / "studies-a1"
    path.write_bytes(b"another machine")
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        os.utime(path, (time.time() + 60 * minutes,) * 2)
        assert not is_free(root)
        time.sleep(0.05)
    time.sleep(0.6)
    assert is_free(root)


@pytest.mark.usefixtures("shared_volume")
def test_who_has_to_be_sure_waits_for_a_beat_or_for_the_lease(
    root: Path, hold: Callable[..., Holder], monkeypatch: pytest.MonkeyPatch
) -> None:
    no_locks(monkeypatch)
    monkeypatch.setattr(claims, "LEASE_SECONDS", 2.0)
    holder = hold(beat=0.2, machine="elsewhere")
    began = time.monotonic()
    with claimed(root, "studies", "a1", surely=True) as free:
        assert not free
    assert time.monotonic() - began < 2.0
    holder.kill()
    with claimed(root, "studies", "a1", surely=True) as free:
        assert free


@pytest.mark.usefixtures("shared_volume")
def test_a_lost_lock_does_not_free_what_another_machine_is_at(
    root: Path, hold: Callable[..., Holder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS gives a lock away when its server restarts: ours is granted although the other one still works."""
    hold(machine="elsewhere")
    monkeypatch.setattr(fcntl, "flock", lambda place, operation: None)
    assert not is_free(root)


@pytest.mark.usefixtures("shared_volume")
def test_a_worker_that_lost_its_claim_does_not_give_back_the_next_ones(
    root: Path, hold: Callable[..., Holder], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = hold(beat=100, machine="elsewhere")
    monkeypatch.setattr(fcntl, "flock", lambda place, operation: None)
    monkeypatch.setattr(claims, "LEASE_SECONDS", 0.0)
    with claimed(root, "studies", "a1") as free:
        assert free
        holder.let_go()
        assert holder_of(root, "studies", "a1") == f"process {os.getpid()} on {os.uname().nodename}"


def test_a_dead_claim_that_was_replaced_meanwhile_is_left_alone(root: Path) -> None:
    path = root / "claims" / "studies-a1"
    path.write_bytes(b"the next one's")
    assert not claims._remove(path, b"the dead one's")
    assert path.read_bytes() == b"the next one's"
    assert [entry.name for entry in path.parent.iterdir()] == ["studies-a1"]


def test_the_clock_is_the_file_systems(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = time_there(root)
    assert abs(there - time.time()) < 5
    monkeypatch.setattr(time, "time", lambda: 0.0)  # a machine whose clock is wrong by decades
    assert 0 <= time_there(root) - there < 5
    assert [entry.name for entry in root.iterdir()] == ["claims"]


def test_waiting_ends_when_the_claim_is_given_back(root: Path, hold: Callable[..., Holder]) -> None:
    holder = hold()
    threading.Timer(0.3, holder.let_go).start()
    began = time.monotonic()
    with exclusively(root, "studies", "a1"):
        assert time.monotonic() - began >= 0.25


def test_a_claim_taken_for_dead_before_it_was_locked_is_asked_for_again(
    root: Path, hold: Callable[..., Holder], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, others = fcntl.flock, []

    def flock(place: int, operation: int) -> None:
        if not others and not operation & fcntl.LOCK_NB:  # made, and not locked yet: another worker comes by
            others.append(hold())
        lock(place, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    free = is_free(root)
    assert [other.free for other in others] == [True]
    assert not free
    others[0].let_go()
    assert is_free(root)


RACER = """
import sys, time
from pathlib import Path
from ctlr.claims import claimed, exclusively
root, mine = Path(sys.argv[1]), 0
print("ready", flush=True)
sys.stdin.readline()
for number in range(200):
    with claimed(root, "studies", str(number)) as free:
        if not free or (root / f"done-{number}").exists():
            continue
        (root / f"at-{number}").touch(exist_ok=False)  # two at once would meet here
        (root / f"done-{number}").touch(exist_ok=False)
        (root / f"at-{number}").unlink()
        mine += 1
for number in range(50):
    with exclusively(root, "studies", "counter"):
        path = root / "counter"
        path.write_text(str(int(path.read_text()) + 1))
print(mine)
"""


@pytest.mark.parametrize("locks", [True, False])
def test_of_many_processes_one_at_a_time_is_at_a_result(root: Path, locks: bool) -> None:
    (root / "counter").write_text("0")
    program = RACER
    if not locks:
        program = "import fcntl\ndef flock(*_): raise OSError(37, 'no locks')\nfcntl.flock = flock\n" + RACER
    with contextlib.ExitStack() as stack:
        racers = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", program, root], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            for _ in range(4)
        ]
        for racer in racers:
            assert racer.stdout is not None
            racer.stdout.readline()
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        done = [racer.communicate()[0].strip() for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4
    assert sum(map(int, done)) == 200
    assert (root / "counter").read_text() == "200"
    assert list((root / "claims").iterdir()) == []
