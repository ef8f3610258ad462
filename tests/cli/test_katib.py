"""The Experiments that ship."""

import os
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from terminal import call
from tiny_bench import TINY

from ctlr.cli.manifests import StudyTrials, trial_arguments
from ctlr.tuning.manifest import read_experiment

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "katib").glob("*.yaml"))
NETWORKS = {"mlp": "points", "small-cnn": "patches", "cnn-lstm": "eeg", "cnn1d": "series"}
"""What the file names of benchmarks/autotuning-*.yaml's manifests begin with; the others are of brain age."""
FAMILIES = {"svm", "logistic", "knn", "naive-bayes", "decision-tree", "forest", "boosting"}
"""Manifests of benchmarks/automl.yaml, which need no GPU."""
DEEP = {
    f"scratch-{encoder}"
    for encoder in (
        "small-cnn", "row-rnn", "cell-cnn", "squeezenet1-1", "efficientnet-lite0", "alexnet", "resnet18", "densenet121",
        "resnet34", "vgg11", "resnet50",
    )
}  # fmt: skip
"""Its manifests of networks."""
ARCHITECTURES = {"cell-cnn"}
"""Manifests of benchmarks/architectures.yaml."""
CLOTHES = Path("/usr/share/datasets/fashion-mnist")
METHODS = ("scratch", "supervised", "simclr", "vat")
ALGORITHMS = {
    "grid": "grid", "random": "random", "bayesian": "bayesianoptimization", "tpe": "tpe", "hyperband": "hyperband",
}  # fmt: skip


def benchmark_of(file: Path) -> Path:
    if file.stem in FAMILIES | DEEP:
        return Path("benchmarks", "automl.yaml")
    if file.stem in ARCHITECTURES:
        return Path("benchmarks", "architectures.yaml")
    kind = next((kind for network, kind in NETWORKS.items() if file.stem.startswith(network)), None)
    return Path("benchmarks", f"autotuning-{kind}.yaml" if kind else "brain-age.yaml")


BRAIN_AGE = [file for file in FILES if benchmark_of(file).stem == "brain-age"]


def document(file: Path) -> Any:
    return YAML(typ="safe").load(file.read_text())


def manifests_of(benchmark: Path) -> set[Path]:
    experiments = document(ROOT / benchmark).get("tuning", {}).get("experiments", {})
    return {Path("katib", Path(name).name) for name in experiments.values()}


def test_every_method_has_every_algorithm() -> None:
    expected = {f"{method}-{algorithm}" for method in METHODS for algorithm in ALGORITHMS}
    assert {file.stem for file in BRAIN_AGE} == expected | {"supervised-pretraining", "supervised-joint"}
    for method in METHODS:
        for short, name in ALGORITHMS.items():
            assert read_experiment(ROOT / "katib" / f"{method}-{short}.yaml").algorithm.name == name


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_manifest_passes_the_check_and_tunes_only_real_options(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What their authors must bring – recordings, series – is a folder of the right name here, which nobody opens."""
    for folder in ("benchmarks", "katib"):
        (tmp_path / folder).mkdir()
    benchmark = benchmark_of(file)
    for needed in (benchmark, file.relative_to(ROOT), *manifests_of(benchmark)):
        shutil.copy(ROOT / needed, tmp_path / needed)
    roots = [data["root"] for data in document(ROOT / benchmark)["datasets"].values() if "root" in data]
    if str(CLOTHES) in roots and not CLOTHES.exists():
        pytest.skip("needs Debian's package dataset-fashion-mnist")
    for root in roots:
        (tmp_path / "benchmarks" / root).mkdir(parents=True, exist_ok=True)
    there = file.relative_to(ROOT)
    finished = call("check", str(there), *(["--no-data"] if roots else []), folder=tmp_path)
    assert (finished.code, finished.out, finished.err) == (0, f"{there}: ok\n", "")
    monkeypatch.chdir(tmp_path)
    experiment = read_experiment(there)
    trials = StudyTrials(experiment, tmp_path / "workspace")
    assert trials.benchmark == benchmark_of(file)
    arguments = trial_arguments(experiment.trial.command)
    assert arguments is not None
    tuned = {re.sub(r"--set=(.*)=\$.*", r"\1", word) for word in arguments if word.startswith("--set=")}
    # A trial parameter bears the name of the option that it sets.
    assert tuned == {parameter.name for parameter in experiment.parameters}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_manifest_bears_its_files_name_and_opens_with_its_commands(file: Path) -> None:
    assert read_experiment(file).name == file.stem
    head = file.read_text().splitlines()[:2]
    assert head[0].startswith(f"# ctlr tune katib/{file.name} ")
    assert head[1].startswith(f"# kubectl apply -f katib/{file.name} ")


@pytest.mark.parametrize("method", METHODS)
def test_the_manifests_of_a_method_differ_in_search_alone(method: str) -> None:
    documents = [document(ROOT / "katib" / f"{method}-{algorithm}.yaml") for algorithm in ALGORITHMS]
    for key in ("trialTemplate", "objective"):
        assert all(found["spec"][key] == documents[0]["spec"][key] for found in documents)


@pytest.mark.parametrize("gpu", [True, False])
def test_all_trials_run_in_equal_pods(gpu: bool) -> None:
    pods = []
    for file in FILES:
        if (file.stem in FAMILIES) == gpu:
            continue
        pod = document(file)["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
        program, benchmark = pod["containers"][0]["command"][:2], pod["containers"][0]["command"][2]
        assert benchmark == str(benchmark_of(file))
        pod["containers"][0]["command"] = program
        pods.append(pod)
    assert all(pod == pods[0] for pod in pods)
    container = pods[0]["containers"][0]
    if gpu:
        assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert pods[0]["nodeSelector"]
        assert pods[0]["tolerations"][0]["key"] == "nvidia.com/gpu"
    else:
        assert "nvidia.com/gpu" not in container["resources"]["limits"]
        assert "gpu" not in container["image"]
        assert not {"nodeSelector", "tolerations"} & pods[0].keys()
    assert pods[0]["securityContext"]["runAsNonRoot"]
    assert not container["image"].endswith(":latest")
    assert container["command"] == ["ctlr", "trial"]


def test_manifests_of_families_are_what_their_methods_say() -> None:
    written = runpy.run_path(str(ROOT / "katib" / "families.py"))["manifests"]()
    assert {Path(name).stem for name in written} == FAMILIES | DEEP
    for name, text in written.items():
        assert (ROOT / "katib" / name).read_text() == text, "run `python katib/families.py`"


# ---------------------------------------------------------------- run


def cut_down(file: Path, folder: Path) -> Path:
    """The manifest on the small benchmark, with fewer and shorter trials."""
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "brain-age.yaml").write_text(TINY)
    text = file.read_text().replace("--n=50", "--n=10").replace('min: "10", max: "40"', 'min: "1", max: "2"')
    text = text.replace('min: "5", max: "30"', 'min: "1", max: "2"')
    text = re.sub(r"maxTrialCount: \d+", f"maxTrialCount: {9 if 'hyperband' in file.stem else 3}", text)
    text = re.sub(r"maxFailedTrialCount: \d+", "maxFailedTrialCount: 0", text)
    (folder / file.name).write_text(text)
    return folder / file.name


def run(file: Path, folder: Path) -> None:
    shorter = cut_down(file, folder)
    finished = call("tune", shorter.name, "--workers", "1", "--device", "cpu", "-o", "yaml", folder=folder)
    assert finished.code == 0, finished.err
    status = YAML(typ="safe").load(finished.out)["status"]
    assert status["conditions"][-1]["type"] == "Succeeded"
    assert "trialsFailed" not in status
    assert status["currentOptimalTrial"]["observation"]["metrics"][0]["name"] in ("val_mae", "val_balanced_accuracy")


def test_a_manifest_runs_to_its_end_on_this_machine(tmp_path: Path) -> None:
    run(ROOT / "katib" / "supervised-joint.yaml", tmp_path)


@pytest.mark.parametrize("name", ["mlp", "mlp-pbt"])
def test_a_manifest_of_another_network_runs_as_it_is(name: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks", ignore=lambda *_: ["ward", "aeon_neuro", "digits"])
    shutil.copytree(ROOT / "katib", tmp_path / "katib")
    command = ("tune", f"katib/{name}.yaml", "--max-trials", "2", "--workers", "1", "--device", "cpu", "-o", "yaml")
    finished = call(*command, folder=tmp_path)
    assert finished.code == 0, finished.err
    assert YAML(typ="safe").load(finished.out)["status"]["trialsSucceeded"] == 2


@pytest.mark.skipif(not CLOTHES.exists(), reason="needs Debian's package dataset-fashion-mnist")
def test_a_manifest_of_a_family_runs_as_it_is(tmp_path: Path) -> None:
    for folder in ("benchmarks", "katib"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "benchmarks" / "automl.yaml", tmp_path / "benchmarks")
    shutil.copy(ROOT / "katib" / "knn.yaml", tmp_path / "katib")
    command = ("tune", "katib/knn.yaml", "--max-trials", "6", "--workers", "1", "--device", "cpu", "-o", "yaml")
    finished = call(*command, folder=tmp_path)
    assert finished.code == 0, finished.err
    status = YAML(typ="safe").load(finished.out)["status"]
    assert status["trialsSucceeded"] == 6
    assert float(status["currentOptimalTrial"]["observation"]["metrics"][0]["max"]) > 0.6


@pytest.mark.skipif("CTLR_SLOW" not in os.environ, reason="minutes; set CTLR_SLOW=1")
@pytest.mark.parametrize("file", BRAIN_AGE, ids=lambda file: file.stem)
def test_every_manifest_runs_to_its_end_on_this_machine(file: Path, tmp_path: Path) -> None:
    run(file, tmp_path)
