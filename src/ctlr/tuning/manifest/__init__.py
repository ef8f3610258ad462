"""A search as a Katib Experiment (kubeflow.org/v1beta1): read, checked by every rule of Katib's webhook, written.

experiment.py   the manifest from its first field to its last
fields.py       a mapping read field by field, its faults noted
rules.py        what a search space must be, by itself and for its algorithm
algorithms.py   which algorithms there are, and what each can be told
collectors.py   where a trial's metrics stand
template.py     which program a trial runs, and how its values get into it
jobs.py         the job around that program, by the table of `job_types.json`
wrapping.py     what Katib's webhook makes of its command
making.py       the other way: from a space to the manifest that searches it
"""

from ctlr.tuning.manifest.algorithms import (
    ALGORITHMS,
    STOPPING_RULES,
    SettingValue,
    broken_settings,
    read_settings,
)
from ctlr.tuning.manifest.collectors import DEFAULT_FILTER, compile_filter
from ctlr.tuning.manifest.experiment import GIVEN, parse_experiment, read_experiment, with_algorithm, write_experiment
from ctlr.tuning.manifest.making import parameters_of, study_experiment, written
from ctlr.tuning.manifest.template import filled_elsewhere, render, rendered_spec, without_gpus

__all__ = [
    "ALGORITHMS",
    "DEFAULT_FILTER",
    "GIVEN",
    "STOPPING_RULES",
    "SettingValue",
    "broken_settings",
    "compile_filter",
    "filled_elsewhere",
    "parameters_of",
    "parse_experiment",
    "read_experiment",
    "read_settings",
    "render",
    "rendered_spec",
    "study_experiment",
    "with_algorithm",
    "without_gpus",
    "write_experiment",
    "written",
]
