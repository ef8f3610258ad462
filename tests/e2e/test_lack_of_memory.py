"""Races on a machine that has too little memory: a trial that wants more costs itself, and no other."""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from clothes import shapes
from terminal import Finished, Running, ctlr, until
from tiny_bench import search_of

RACE = """\
name: race
PLUGINS
datasets:
  pictures: {kind: images, root: pictures, preprocess: {shape: [32, 32], channels: 1, normalise: percentile}}
tasks:
  kind: {target: class, kind: classification, metric: accuracy}
transfers:
  - {target: {data: pictures, task: kind}}
encoders: {ENCODERS}
methods: {logistic: {}, knn: {}, scratch: {finetune: {epochs: 2}}}
baselines: []
sample_sizes: [60]
seeds: [0]
split: {test: 24, validation: 0.4}
tuning: {seconds: 200, trials: TRIALS, race: {}, parallel: 2, share: false}
tracking: {backend: none}
"""

GREEDY = '''\
"""The small CNN, some of whose options no machine can afford."""

from typing import Literal

from ctlr.space import Choice
from ctlr.specs import EncoderPart, EncoderSpec


class GreedySpec(EncoderSpec):
    """What comes of it."""

    appetite: Literal["none", "memory", "death", "nan"] = "none"
    """What happens while it is built."""


def greedy(*, channels, ndim, options):
    """The small CNN, if it comes to that."""
    import os
    import resource
    import signal

    import torch

    from ctlr.encoders.small_cnn import small_cnn

    if options.appetite == "memory":  # the limit stays, as what an unlucky trial holds may do
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2_000_000, used + 2_000_000))
        torch.ones(100_000_000)
    if options.appetite == "death":
        os.kill(os.getpid(), signal.SIGKILL)
    encoder = small_cnn(channels=channels, ndim=ndim, width=options.width)
    if options.appetite == "nan":
        with torch.no_grad():
            next(encoder.parameters()).fill_(float("nan"))
    return encoder


ENCODERS = {"greedy": EncoderPart(
    about="a greedy network", build=greedy, blocks=4, options=GreedySpec, least=15, dimensions=(2,), scaled_in=(2,),
    space={"appetite": Choice(("none", "memory", "death", "nan"))},
)}
'''

REASONS = {
    "none": "",
    "memory": "out of memory; lower `batch_size` or --workers",
    "death": "the worker was killed (signal 9), most likely for want of memory; lower `batch_size` or --workers",
    "nan": "the training loss became nan in epoch 1; lower `lr` or set `clip`",
}


def written(folder: Path, *, encoders: str, plugins: str = "", trials: int = 8) -> Path:
    """A race in a folder, with its pictures."""
    shapes(folder / "pictures", {"lying": 40, "upright": 40, "cross": 40})
    text = RACE.replace("PLUGINS", plugins).replace("ENCODERS", encoders).replace("TRIALS", str(trials))
    (folder / "race.yaml").write_text(text)
    return folder


def trials_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What the journals of a race say of each trial that has ended, by the search."""
    found: dict[str, list[dict[str, Any]]] = {}
    for journal in (folder / "workspace" / "searches").glob("*/round-1/journal.jsonl"):
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        asked = {line["number"]: line for line in lines if line["event"] == "proposed"}
        ended = [asked[line["number"]] | line for line in lines if line["event"] == "ended"]
        found[journal.parent.parent.name] = ended
    return found


# ---------------------------------------------------------------- each kind of trial that cannot go on


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Finished, Finished]:
    """A race with a greedy family, to whose end two runs came together."""
    folder = written(tmp_path_factory.mktemp("greedy"), encoders="greedy: {}", plugins="plugins: [greedy.py]")
    (folder / "greedy.py").write_text(GREEDY)
    manifest = search_of("encoder.appetite").replace("random}", "grid}").replace("maxTrialCount: 4", "maxTrialCount: 8")
    manifest = re.sub(r"minimize, .*\}", "maximize, objectiveMetricName: val_accuracy}", manifest)
    space = "".join(
        f"    - {{name: {name}, parameterType: categorical, feasibleSpace: {{list: [{values}]}}}}\n"
        for name, values in (("rate", "none, memory, death, nan"), ("epochs", '"2", "3"'))
    )
    manifest = re.sub(r"    - \{name: rate.*\n", space, manifest)
    manifest = manifest.replace("reference: rate}]", "reference: rate}, {name: epochs, reference: epochs}]")
    manifest = manifest.replace('rate}"]', 'rate}", "--set=finetune.epochs=${trialParameters.epochs}"]')
    (folder / "scratch.yaml").write_text(manifest)
    file = folder / "race.yaml"
    file.write_text(file.read_text().replace("tuning: {", "tuning: {experiments: {scratch: scratch.yaml}, "))
    with Running("run", "race.yaml", "--workers", "2", folder=folder) as leader:
        leader.wait_for(lambda: list((folder / "workspace").glob("searches/*/round-1/journal.jsonl")))
        joined = ctlr("run", "race.yaml", "--join", "--workers", "1", folder=folder)
        return folder, leader.finish(), joined


def test_a_trial_without_memory_a_killed_one_and_nan_cost_themselves_alone(
    raced: tuple[Path, Finished, Finished],
) -> None:
    folder, led, joined = raced
    assert (led.code, joined.code) == (0, 0), led.err + joined.err
    searches = trials_of(folder)
    (greedy,) = [trials for trials in searches.values() if "rate" in trials[0]["assignments"]]
    assert len(greedy) == 8
    for trial in greedy:
        reason = REASONS[trial["assignments"]["rate"]]
        assert trial["reason"] == reason
        assert trial["status"] == ("Failed" if reason else "Succeeded")
    others = [trial for trials in searches.values() if trials is not greedy for trial in trials]
    assert {trial["status"] for trial in others} == {"Succeeded"}
    assert len(others) == 16


def test_the_report_tells_why_each_of_them_failed(raced: tuple[Path, Finished, Finished]) -> None:
    folder, led, _ = raced
    page = (folder / "workspace" / "reports" / "race" / "report.html").read_text()
    for reason in filter(None, REASONS.values()):
        assert reason in page
    assert "FAILED" not in led.out


# ---------------------------------------------------------------- the kernel's own choice

_GROUPS = Path("/sys/fs/cgroup")
_LIMITS = {"memory/ctlr-test-{}": "memory.limit_in_bytes", "ctlr-test-{}": "memory.max"}
"""Folder of a control group, of version 1 and 2, and what holds its limit."""


def removed(group: Path) -> bool:
    """Whether a control group is gone; it stays as long as a process of it ends."""
    with contextlib.suppress(OSError):
        group.rmdir()
    return not group.exists()


@pytest.fixture
def limit() -> Iterator[tuple[Path, Path]]:
    """A control group of one's own, and the file that limits its memory."""
    for name, file in _LIMITS.items():
        group = _GROUPS / name.format(os.getpid())
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / file).exists():
            yield group, group / file
            until(partial(removed, group))
            return
        group.rmdir()
    pytest.skip("control groups of memory cannot be made here")


def test_the_kernel_kills_a_trial_and_not_what_all_of_them_depend_on(limit: tuple[Path, Path], tmp_path: Path) -> None:
    folder, (group, most) = written(tmp_path, encoders="small_cnn: {}, alexnet: {}", trials=4), limit
    most.write_text(str(900 * 2**20))  # small networks need less, and AlexNet with its optimiser more
    enter = ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh")
    run = ctlr("run", "race.yaml", "--workers", "2", folder=folder, before=enter)
    assert run.code == 0, run.err
    failed = [trial for trials in trials_of(folder).values() for trial in trials if trial["status"] == "Failed"]
    killed = [trial for trial in failed if trial["reason"] == REASONS["death"]]
    assert killed
    assert "exit code" not in run.out
    ranking = [line for line in run.out.splitlines() if re.match(r"│ \d", line)]
    assert len(ranking) == 4
    assert "small_cnn" in ranking[0]
