"""A benchmark small enough to run in seconds, for every test that needs a whole one."""

from dataclasses import dataclass
from pathlib import Path

from ctlr.config import BenchmarkConfig
from ctlr.plan import Plan
from ctlr.specs import StoredArrays, Study
from ctlr.workspace import Workspace

TINY = """\
name: tiny
datasets:
  cohort: {kind: cohort, subjects: 48, seed: 3, spacing: 6, preprocess: {spacing: 6, shape: [32, 32, 32]}}
tasks:
  age: {target: age, kind: regression}
  sex: {target: sex, kind: classification}
transfers:
  - {source: {data: cohort, task: sex}, target: {data: cohort, task: age}}
encoders: {small_cnn: {}}
methods: {scratch: {}, supervised: {finetune: {n_frozen: 1}}, simclr: {}, vat: {}}
sample_sizes: [6, 10]
seeds: [0]
baselines: []
split: {test: 12, stratify: [sex]}
training:
  pretrain: {epochs: 2}
  finetune: {epochs: 3, batch_size: 8}
"""

_SEARCH = """\
apiVersion: kubeflow.org/v1beta1
kind: Experiment
metadata: {name: tiny}
spec:
  objective: {type: minimize, objectiveMetricName: val_mae}
  algorithm: {algorithmName: random}
  parallelTrialCount: 2
  maxTrialCount: 4
  parameters:
    - {name: rate, parameterType: double, feasibleSpace: {min: "LOW", max: "HIGH", distribution: logUniform}}
  trialTemplate:
    primaryContainerName: trial
    trialParameters: [{name: rate, reference: rate}]
    trialSpec:
      apiVersion: batch/v1
      kind: Job
      spec:
        template:
          spec:
            restartPolicy: Never
            containers:
              - name: trial
                image: ctlr
                command: [ctlr, trial, tiny.yaml, --study=any, "--set=OPTION=${trialParameters.rate}"]
"""


def search_of(option: str, low: str = "1e-4", high: str = "1e-2") -> str:
    """A manifest that tunes one option of a study by random search."""
    return _SEARCH.replace("OPTION", option).replace("LOW", low).replace("HIGH", high)


@dataclass(frozen=True)
class Bench:
    """A small benchmark whose images are stored."""

    file: Path
    config: BenchmarkConfig
    plan: Plan
    workspace: Workspace
    arrays: dict[str, StoredArrays]

    def study(self, label: str, n_train: int = 6) -> Study:
        """The study of a method."""
        return next(s for s in self.plan.studies if s.method.label == label and s.n_train == n_train)
