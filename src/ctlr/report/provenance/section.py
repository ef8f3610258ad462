"""Everything needed to get the numbers again: command, configuration, precision, versions, fingerprints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ctlr.report.findings import Findings
from ctlr.report.section import Section
from ctlr.report.theme.formats import Cell, Table, records_csv
from ctlr.specs import StudyResult, kind_of_image

__all__ = ["provenance"]


def provenance(found: Findings) -> Iterator[Section]:
    """Always there. What it says of this machine becomes no table beside the page."""
    results, finished = found.results, found.finished
    yield Section(
        anchor="provenance", heading="Provenance", template="provenance/provenance.html.j2",
        shows={
            "finished": finished, "precision": _precision(results), "fingerprints": _fingerprints(results),
            "versions": _versions(results, finished.environment),
        },
        files={"results.csv": records_csv([result.record() for result in results])},
    )  # fmt: skip


def _precision(results: Sequence[StudyResult]) -> Table:
    """Where and in which precision networks were trained, layer by layer where layers differ."""
    counts = Counter((r.study.encoder.label, r.device) for r in results if r.status == "ok" and r.parameters)
    return Table(
        name="precision", caption="Device, precision and memory format in which networks were trained.",
        columns=("Encoder", "Trained in", "Studies"), headers=2,
        rows=tuple((Cell(label), Cell(device), Cell(str(n))) for (label, device), n in counts.items()),
        records=tuple({"encoder": e, "trained": device, "studies": n} for (e, device), n in counts.items()),
    )  # fmt: skip


def _versions(results: Sequence[StudyResult], environment: Mapping[str, str]) -> Table:
    """What ran: of the benchmark, and of each study where studies say more."""
    found: dict[str, dict[str, None]] = {name: {value: None} for name, value in environment.items()}
    for result in results:
        for name, value in result.environment.items():
            found.setdefault(name, {})[value] = None
    records = [{"name": name, "version": ", ".join(values)} for name, values in found.items()]
    return Table(
        name="versions", caption="Packages, commit and platform; several values mean that studies differ.",
        columns=("Name", "Version"), headers=2,
        rows=tuple((Cell(r["name"]), Cell(r["version"])) for r in records), records=tuple(records),
    )  # fmt: skip


def _fingerprints(results: Sequence[StudyResult]) -> Table:
    """What went in: equal fingerprints mean equal content."""
    found: dict[tuple[str, str], set[str]] = {}
    for result in results:
        study, data = result.study, result.study.target.data
        at = f"n = {result.labelled}, seed {study.seed}"
        found.setdefault((f"{kind_of_image(data.ndim)}s of ‘{data.name}’", result.arrays), set())
        found.setdefault((f"split of ‘{study.target.task.name}’, {at}", result.split), set())
        found.setdefault((f"pretraining of ‘{study.method.label}’, seed {study.seed}", result.pretraining), set())
    records = [{"what": what, "fingerprint": value} for what, value in found if value]
    return Table(
        name="fingerprints", caption="Fingerprints of what the studies were made from; equal ones mean equal content.",
        columns=("What", "Fingerprint"), headers=2,
        rows=tuple((Cell(r["what"]), Cell(r["fingerprint"])) for r in records), records=tuple(records),
    )  # fmt: skip
