"""Write the manifests of benchmarks/automl.yaml from the spaces that its methods state: `python katib/families.py`."""

from __future__ import annotations

from pathlib import Path

from ctlr.config import load
from ctlr.plan import make_plan
from ctlr.specs import Study, dns_name
from ctlr.tuning.manifest import parse_experiment, study_experiment, write_experiment

__all__ = ["manifests"]

HERE = Path(__file__).parent
BENCHMARK = "benchmarks/automl.yaml"


def manifests() -> dict[str, str]:
    """Text by the file's name, of each method without a network."""
    # The pictures need not be here, nor the manifests.
    config = load(HERE.parent / BENCHMARK, ["platform.roots={clothes: fashion-mnist}", "tuning=null"])
    studies = {study.method.label: study for study in make_plan(config).studies if study.method.space(2)}
    return dict(_manifest(label, study) for label, study in studies.items() if study.method.shallow)


def _manifest(label: str, study: Study) -> tuple[str, str]:
    name = dns_name(label)
    data = study_experiment(study, BENCHMARK, name=name)
    head = (
        f"# ctlr tune katib/{name}.yaml          (this machine)\n"
        f"# kubectl apply -f katib/{name}.yaml   (a cluster with Katib; the image sets CTLR_WORKSPACE=/workspace)\n"
        "#\n"
        f"# {type(study.method).about()}\n"
        "# Of clothes (Fashion-MNIST). Written by `python katib/families.py` from the space that the method states:\n"
        "# an option that does not matter beside others (a cell where there are none) is drawn, and not read. The\n"
        "# test set stays sealed.\n"
    )
    return f"{name}.yaml", head + write_experiment(parse_experiment(data, name))


if __name__ == "__main__":
    for file, text in manifests().items():
        (HERE / file).write_text(text)
