"""Write the manifests of benchmarks/automl.yaml from the spaces that its methods state: `python katib/families.py`."""

from __future__ import annotations

import textwrap
from pathlib import Path

from ctlr.config import load
from ctlr.plan import make_plan
from ctlr.specs import ENCODERS, Study, dns_name
from ctlr.tuning.manifest import ALGORITHMS, parse_experiment, study_experiment, write_experiment

__all__ = ["manifests"]

HERE = Path(__file__).parent
BENCHMARK = "benchmarks/automl.yaml"


def manifests() -> dict[str, str]:
    """Text by the file's name: of each method without a network, and of each encoder from scratch."""
    config = load(HERE.parent / BENCHMARK, ["platform.roots={clothes: fashion-mnist}"])  # the pictures need not be here
    return dict(map(_manifest, make_plan(config).searches))


def _manifest(study: Study) -> tuple[str, str]:
    network = study.method.trains_network
    name = dns_name(f"scratch-{study.encoder.label}" if network else study.method.label)
    data = study_experiment(study, BENCHMARK, name=name)
    about = f"From random weights: {ENCODERS[study.encoder.name].about}." if network else type(study.method).about()
    head = (
        f"# ctlr tune katib/{name}.yaml          (this machine)\n"
        f"# kubectl apply -f katib/{name}.yaml   (a cluster with Katib; the image sets CTLR_WORKSPACE=/workspace)\n"
        "#\n"
        f"{_comment(about)}"
        "# Of clothes (Fashion-MNIST). Written by `python katib/families.py` from the space that the parts state. An\n"
        "# option that does not matter beside others, as a cell where there are none, is drawn and not read. The test\n"
        "# set stays sealed.\n"
    )
    if ALGORITHMS[data["spec"]["algorithm"]["algorithmName"]].extension:
        head += "# A cluster's Katib knows its algorithm through `ctlr suggest` only (manifests/katib-config.yaml).\n"
    return f"{name}.yaml", head + write_experiment(parse_experiment(data, name))


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, 118))


if __name__ == "__main__":
    for file, text in manifests().items():
        (HERE / file).write_text(text)
