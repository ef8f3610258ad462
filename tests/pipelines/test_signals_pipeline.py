"""A benchmark of recordings as the pipeline's components run it, beside `ctlr run` of the same file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from cloud import Cloud
from terminal import ctlr

from ctlr.cluster.request import request_of
from ctlr.config import load
from ctlr.data.kinds.eeg.growing import write_patients

FILE = """\
name: eeg
datasets:
  eeg:
    kind: signals
    root: data
    labels: {spike-wave seizure: seizure, theta seizure: seizure, background: background}
    max_segments: 2
tasks: {seizure: {target: class, kind: classification}}
transfers: [{target: {data: eeg, task: seizure}}]
encoders: {cnn1d: {}}
methods: {scratch: {}}
baselines: [linear]
sample_sizes: [2]
seeds: [0]
split: {test: 2}
training: {finetune: {epochs: 1, batch_size: 4}}
report: {bayes_error: true}
platform: {roots: {eeg: data}, trials: local}
"""


def test_the_pipeline_gives_the_scores_of_the_laptop(warm: Path, tmp_path: Path) -> None:
    desk, cloud = tmp_path / "desk", Cloud(tmp_path / "volume", tmp_path / "store", warm)
    for folder in (desk, cloud.volume, cloud.store):
        folder.mkdir()
    write_patients(desk / "data", patients=6, seed=0, minutes=2)
    shutil.copytree(desk / "data", cloud.volume / "data")
    (desk / "eeg.yaml").write_text(FILE)
    done = ctlr("run", "eeg.yaml", "--workers", "1", folder=desk, warm=warm)
    assert done.code == 0, done.err
    cloud.run(request_of(load(desk / "eeg.yaml")))
    here, there = Cloud(desk / "workspace", desk).results(), cloud.results()
    assert here.keys() == there.keys() == {f"{name} n2 s0" for name in ("mean", "linear", "scratch")}
    for name, result in here.items():
        assert there[name]["status"] == "ok", there[name]["reason"]
        assert there[name]["scores"] == result["scores"], name
    estimates = [
        json.loads(file.read_text()) | {"seconds": 0}
        for root in (desk / "workspace", cloud.volume)
        for file in root.rglob("least_errors/*/result.json")
    ]
    assert len(estimates) == 2
    assert estimates[0] == estimates[1]
