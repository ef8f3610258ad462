"""A synthetic cohort of electroencephalograms: EDF+ files with annotations, and a table of the patients.

Every patient depends on the seed, the number and the length alone: patient 7 of ten is patient 7 of a hundred, bit for
bit, whoever makes it and beside whom.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from threadpoolctl import threadpool_limits

from ctlr import __version__
from ctlr.data.kinds.cohort.folder import write_members
from ctlr.data.kinds.eeg.synthesis import RATE, SEIZURES, Patient, draw_patient, record
from ctlr.data.kinds.signals.writing import write_edf
from ctlr.specs import ELECTRODES
from ctlr.workspace import disk_faults_named, write_aside

__all__ = ["write_patients"]

_COLUMNS = {
    "age": {"Description": "Age of a patient who does not exist", "Units": "years"},
    "seizure": {"Description": "Kind of the synthetic seizures", "Levels": dict.fromkeys(SEIZURES, "")},
    "mains": {"Description": "Frequency of the mains", "Units": "Hz"},
}
_README = """\
Synthetic electroencephalograms, made by CTLR {version}: nobody was recorded, and nothing follows for real brains.

{patients} patients, {minutes} minutes each at {rate} Hz, seed {seed}. Annotations: eyes open, eyes closed, background,
spike-wave seizure, theta seizure.
"""


def write_patients(
    out: Path,
    *,
    patients: int,
    seed: int,
    minutes: int,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write sub-*/eeg/sub-*_task-synthetic_eeg.edf, then participants.tsv and what describes them.

    Args:
        out: Folder that does not exist or is empty.
        patients: How many.
        seed: Of all.
        minutes: Of each recording; even.
        workers: Threads; the files do not depend on it.
        progress: Told (done, total) after each patient.

    Raises:
        DataError: `out` is there and not an empty folder.
        WorkspaceError: The disk is full or `out` cannot be written.
    """
    drawn = [draw_patient(seed, index) for index in range(patients)]

    def write(index: int) -> None:
        _write(out, drawn[index], seed, 60 * minutes)

    with disk_faults_named(out), threadpool_limits(1, user_api="blas"):
        write_members(out, patients, write, workers=workers, progress=progress)
        rows = [f"{patient.id}\t{patient.age:g}\t{patient.seizure}\t{patient.mains_hz}" for patient in drawn]
        readme = _README.format(version=__version__, patients=patients, minutes=minutes, rate=RATE, seed=seed)
        about = {
            "Name": "Synthetic electroencephalograms", "BIDSVersion": "1.10.0", "DatasetType": "raw",
            "GeneratedBy": [{"Name": "ctlr", "Version": __version__}],
        }  # fmt: skip
        write_aside(out / "README", readme.encode())
        write_aside(out / "participants.json", json.dumps(_COLUMNS, indent=2).encode())
        write_aside(out / "participants.tsv", "\n".join(["participant_id\tage\tseizure\tmains", *rows, ""]).encode())
        write_aside(out / "dataset_description.json", json.dumps(about, indent=2).encode())


def _write(folder: Path, patient: Patient, seed: int, seconds: int) -> None:
    signals, seen = record(patient, seed, seconds)
    place = folder / patient.id / "eeg"
    place.mkdir(parents=True)
    labels = [f"EEG {name}-REF" for name in ELECTRODES]
    write_edf(
        place / f"{patient.id}_task-synthetic_eeg.edf", labels, signals, RATE,
        [(each.onset, each.seconds, each.text) for each in seen], about="synthetic",
    )  # fmt: skip
