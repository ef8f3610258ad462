"""Everything needed to get the numbers again: command, configuration, precision, versions, hashes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ctlr.report.findings import Findings
from ctlr.report.finished import Finished
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table, records_csv
from ctlr.specs import StudyResult, kind_of_image

__all__ = ["hashes_table", "precision_table", "provenance", "versions_of"]

MOST_WEIGHTS = 24
"""Models up to which the hash of each one's weights stands on the page; of more, in its file alone."""


def provenance(found: Findings) -> Iterator[Section]:
    """Always there. What it says of this machine becomes no table beside the page."""
    results, finished = found.results, found.finished
    weights, versions = _weights(results), _versions(versions_of(results, finished.environment))
    yield Section(
        anchor="provenance", heading="Provenance", template="provenance/provenance.html.j2",
        shows={
            "finished": finished, "precision": precision_table(finished, results), "weights": weights,
            "hashes": hashes_table(finished, results), "versions": versions,
            "most": MOST_WEIGHTS,
        },
        tables=(weights,) if weights.rows else (),
        files={"results.csv": records_csv([result.record() for result in results])},
    )  # fmt: skip


def precision_table(finished: Finished, results: Sequence[StudyResult]) -> Table:
    """Where and in which precision each stage was computed, layer by layer where layers differ."""
    trained = [result for result in results if result.status == "ok" and result.parameters]
    pretrained = {result.pretraining: result for result in trained if result.pretraining and result.pretrain_device}
    rows: list[tuple[str, str, str, int]] = [
        ("images as they are stored", f"‘{name}’", stored.dtype, stored.rows)
        for name, stored in finished.arrays.items()
    ]
    for stage, runs in (
        ("pretraining", [(result.study.encoder.label, result.pretrain_device) for result in pretrained.values()]),
        ("finetuning", [(result.study.encoder.label, result.device) for result in trained]),
    ):
        rows += [(stage, encoder, device, times) for (encoder, device), times in Counter(runs).items()]
    if trained:
        rows.append(("prediction", "every encoder", "float32", len(trained)))
    rows += [("scores and intervals", "every study", "float64", len(results))] if results else []
    return Table(
        name="precision", caption="Device, precision and memory format in which each stage was computed.",
        columns=("Stage", "Of", "Computed in", "Times"), headers=3,
        rows=tuple((Cell(stage), Cell(of), Cell(device), Cell(str(times))) for stage, of, device, times in rows),
        records=tuple(
            {"stage": stage, "of": of, "computed_in": device, "times": times} for stage, of, device, times in rows
        ),
    )  # fmt: skip


def versions_of(results: Sequence[StudyResult], environment: Mapping[str, str]) -> dict[str, str]:
    """What ran: of the benchmark, and of each study where studies say more; several values where studies differ."""
    found: dict[str, dict[str, None]] = {name: {value: None} for name, value in environment.items()}
    for result in results:
        for name, value in result.environment.items():
            found.setdefault(name, {})[value] = None
    return {name: ", ".join(values) for name, values in found.items()}


def _versions(found: Mapping[str, str]) -> Table:
    return Table(
        name="versions", caption="Packages, commit, code and machine; several values mean that studies differ.",
        columns=("Name", "Version"), headers=2,
        rows=tuple((Cell(name), Cell(version)) for name, version in found.items()),
        records=tuple({"name": name, "version": version} for name, version in found.items()),
    )  # fmt: skip


def hashes_table(finished: Finished, results: Sequence[StudyResult]) -> Table:
    """What went in: equal ones mean equal content."""
    found = {("benchmark file as printed here, SHA-256", hashlib.sha256(finished.yaml.encode()).hexdigest()): None}
    for name in (name for name in finished.environment if name == "ctlr_code" or name.startswith("plug-in ")):
        code = "code of CTLR" if name == "ctlr_code" else f"code of the {name}"
        sha = finished.environment[name].removeprefix("sha256 ")
        found[f"{code}, SHA-256 cut short", sha] = None
    for result in results:
        study, data = result.study, result.study.target.data
        at = f"n = {result.labelled}, seed {study.seed}"
        pretrained = f"pretraining of ‘{study.method.label}’, seed {study.seed}"
        found |= dict.fromkeys([
            (f"{kind_of_image(data.ndim)}s of ‘{data.name}’", result.arrays),
            (f"split of ‘{study.target.task.name}’, {at}", result.split),
            (pretrained, result.pretraining),
            (f"weights of the {pretrained}, SHA-256", result.pretrain_weights),
        ])  # fmt: skip
    records = [{"what": what, "fingerprint": value} for what, value in found if value]
    return Table(
        name="fingerprints", caption="Hashes of what the studies were made from; equal ones mean equal content.",
        columns=("What", "Hash"), headers=2,
        rows=tuple((Cell(r["what"]), Cell(r["fingerprint"])) for r in records), records=tuple(records),
    )  # fmt: skip


def _weights(results: Sequence[StudyResult]) -> Table:
    """The model of each study."""
    kept = [result for result in results if result.weights]
    return Table(
        name="weights", caption="SHA-256 of each study's model, `model.safetensors`.",
        columns=("Study", "SHA-256"), headers=2,
        rows=tuple((Cell(result.study.id), Cell(result.weights)) for result in kept),
        records=tuple({"study": result.study.id, "sha256": result.weights} for result in kept),
    )  # fmt: skip
