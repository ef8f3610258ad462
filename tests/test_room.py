"""Room that a run takes, and what a machine or a control group has of it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctlr.config import load
from ctlr.cost import Size
from ctlr.plan import make_plan
from ctlr.room import COMMON_BYTES, free_here, free_memory, in_words, room_of

MIB = 2**20
TEXT = """\
name: room
datasets:
  cohort: {kind: cohort, subjects: 100, spacing: 6, preprocess: {spacing: 6, shape: [32, 32, 32]}}
tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}
transfers:
  - {source: {data: cohort, task: sex}, target: {data: cohort, task: age}}
encoders: {resnet18: {}}
methods: {scratch: {}, supervised: {}}
sample_sizes: [10]
seeds: [0, 1]
baselines: []
"""


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": "MemTotal: 8192 kB\nMemFree: 1 kB\nMemAvailable: 4096 kB\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_machine_has_what_can_be_had_without_swapping(tmp_path: Path) -> None:
    assert free_memory(machine(tmp_path, {})) == (4 * MIB, 8 * MIB)


def test_a_control_group_and_those_above_it_bound_what_can_be_had(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/pods/mine\n",
        "sys/fs/cgroup/pods/memory.max": str(3 * MIB),
        "sys/fs/cgroup/pods/memory.current": str(2 * MIB),
        "sys/fs/cgroup/pods/memory.stat": f"anon 5\ninactive_file {MIB}\n",
        "sys/fs/cgroup/pods/mine/memory.max": "max\n",
    }
    assert free_memory(machine(tmp_path, files)) == (2 * MIB, 3 * MIB)


def test_control_groups_of_the_first_version_count_too(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:cpu,cpuacct:/\n4:memory:/docker/1\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": f"{2 * MIB}\n",
        "sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes": f"{MIB}\n",
        "sys/fs/cgroup/memory/docker/1/memory.stat": "total_inactive_file 0\n",
    }
    assert free_memory(machine(tmp_path, files)) == (MIB, 2 * MIB)


def test_a_container_that_sees_its_own_group_as_the_top_is_bound_by_it(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": str(MIB), "sys/fs/cgroup/memory.current": "0"}
    assert free_memory(machine(tmp_path, files)) == (MIB, MIB)


def test_a_system_without_proc_is_asked_for_its_pages(tmp_path: Path) -> None:
    free, limit = free_memory(tmp_path)
    assert free == limit > 0


_LINES = st.text(alphabet="0129:/.- \nabmex", max_size=60)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_LINES, _LINES, _LINES)
def test_whatever_the_system_writes_some_memory_is_told(tmp_path: Path, groups: str, most: str, meminfo: str) -> None:
    files = {"proc/self/cgroup": groups, "sys/fs/cgroup/memory.max": most, "proc/meminfo": meminfo}
    free, limit = free_memory(machine(tmp_path, files))
    assert free >= 0
    assert limit >= 0


def test_this_machine_has_room(tmp_path: Path) -> None:
    free = free_here(tmp_path / "not" / "yet")
    assert free.disk > 0
    assert 0 < free.memory <= free.memory_limit


def test_images_are_counted_and_models_by_what_their_encoder_says(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(TEXT)
    plan = make_plan(load(tmp_path / "b.yaml"))
    sizes = {"cohort": Size(subjects=100, images=100)}
    room = room_of(plan, sizes, frozenset())
    assert room.images == {"cohort": 100 * (2 * 32**3 + 2 * 12**3 + 300)}
    # two methods and two seeds, and a pretraining for each seed: six times 33.2 million numbers
    assert room.models == 6 * 4 * 33_200_000
    assert room.encoder == "resnet18"
    assert room.memory(2) - room.memory(1) == room.worker
    assert room.memory(0) == COMMON_BYTES
    assert room_of(plan, sizes, frozenset({"cohort"})).images == {}


def test_a_wider_encoder_takes_its_square(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(TEXT)
    narrow, wide = (
        room_of(make_plan(load(tmp_path / "b.yaml", [f"encoders.resnet18.width={width}"])), {}, frozenset())
        for width in (1, 2)
    )
    assert wide.models == 4 * narrow.models


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 KiB"), (1, "1 KiB"), (1536 * 1024, "1.5 MiB"), (50 * 2**30, "50 GiB"), (2**40, "1 TiB")]
)
def test_bytes_are_told_in_units_of_1024(size: int, words: str) -> None:
    assert in_words(size) == words
