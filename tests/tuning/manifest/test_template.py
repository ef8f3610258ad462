from pathlib import Path

import pytest
from plain_manifest import FROM_CONFIG_MAP, PLAIN, RATE, changed, read
from ruamel.yaml import YAML

from ctlr.errors import ConfigError
from ctlr.specs import Experiment, Trial
from ctlr.tuning.manifest import parse_experiment, read_experiment, render, rendered_spec, without_gpus

CONDITIONS = "    successCondition: a\n    failureCondition: b\n"
POD = "{containers: [{name: side, image: s}, {name: train, image: i, command: [run, PLACES]}]}"
KINDS = {
    "PyTorchJob": (
        "{apiVersion: kubeflow.org/v1, kind: PyTorchJob, spec: {pytorchReplicaSpecs: {"
        "Worker: {template: {spec: {containers: [{name: train, image: w, command: [work, PLACES]}]}}}, "
        f"Master: {{template: {{spec: {POD}}}}}}}}}}}", ""),
    "TFJob": (f"{{apiVersion: kubeflow.org/v1, kind: TFJob, spec: {{tfReplicaSpecs: {{PS: {{template: {{spec: "
              f"{{containers: [{{name: train, image: p}}]}}}}}}, Worker: {{template: {{spec: {POD}}}}}}}}}}}", ""),
    "MPIJob": (f"{{apiVersion: kubeflow.org/v1, kind: MPIJob, spec: {{mpiReplicaSpecs: {{Worker: {{template: {{spec: "
               f"{{containers: [{{name: w, image: w}}]}}}}}}, Launcher: {{template: {{spec: {POD}}}}}}}}}}}", ""),
    "XGBoostJob": (
        f"{{apiVersion: kubeflow.org/v1, kind: XGBoostJob, spec: {{xgbReplicaSpecs: {{Master: {{template: {{spec: {POD}"
        "}}}}}", ""),
    "Workflow": (
        "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, spec: {entrypoint: all, templates: ["
        "{name: all, steps: [[{name: fit, template: fit}]]}, "
        "{name: prepare, container: {image: p, command: [prepare]}}, {name: fit, metadata: {labels: {role: fit}}, "
        "container: {name: fit, image: i, command: [run, PLACES]}}]}}", CONDITIONS),
    "TrainJob": (
        "{apiVersion: trainer.kubeflow.org/v1alpha1, kind: TrainJob, spec: {runtimeRef: {name: torch-distributed}, "
        "trainer: {numNodes: 2, image: i, command: [run, PLACES]}}}", ""),
    "PipelineRun": (
        "{apiVersion: tekton.dev/v1, kind: PipelineRun, spec: {pipelineSpec: {tasks: [{name: t, taskSpec: {steps: "
        "[{name: prepare, image: p}, {name: train, image: i, command: [run, PLACES]}]}}]}}}", CONDITIONS),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_primary_container_is_found_in_every_kind_of_job(tmp_path: Path, kind: str) -> None:
    places = ", ".join(f'"${{trialParameters.{name}}}"' for name in ("rate", "depth", "optimiser", "width"))
    job, conditions = KINDS[kind]
    primary = {"PipelineRun": "step-train", "Workflow": "main", "TrainJob": "node"}.get(kind, "train")
    text = PLAIN[: PLAIN.index("    trialSpec")].replace("Name: train", f"Name: {primary}") + conditions
    trial = read(tmp_path, f"{text}    trialSpec: {job.replace('PLACES', places)}\n").trial
    assert (trial.image, trial.command[:2]) == ("i", ("run", "${trialParameters.rate}"))


def test_labels_tell_templates_of_the_same_container_name_apart(tmp_path: Path) -> None:
    places = ", ".join(f'"${{trialParameters.{name}}}"' for name in ("rate", "depth", "optimiser", "width"))
    job = (
        "{apiVersion: argoproj.io/v1alpha1, kind: Workflow, spec: {templates: ["
        "{metadata: {labels: {step: prepare}}, container: {image: p, command: [prepare]}}, "
        f"{{metadata: {{labels: {{step: fit}}}}, container: {{image: i, command: [run, {places}]}}}}]}}}}"
    )
    text = PLAIN[: PLAIN.index("    trialSpec")].replace("Name: train", "Name: main") + CONDITIONS
    labels = "    primaryPodLabels: {step: fit}\n"
    assert read(tmp_path, f"{text}{labels}    trialSpec: {job}\n").trial.image == "i"


def test_a_job_without_a_command_leaves_the_program_to_its_image(tmp_path: Path) -> None:
    command = PLAIN[PLAIN.index("                command") : PLAIN.index("                args")]
    places = (
        "${trialParameters.optimiser}",
        "${trialParameters.optimiser}${trialParameters.rate}${trialParameters.depth}",
    )
    assert read(tmp_path, changed((command, ""), places)).trial.command == ()


ENVIRONMENT = """\
                workingDir: /work/${trialParameters.trial}
                env:
                  - {name: RATE, value: "${trialParameters.rate}"}
                  - {name: TWICE, value: "$(RATE)-$(RATE)"}
                  - {name: SECRET, valueFrom: {secretKeyRef: {name: a, key: b}}}
                  - {name: TEAM, value: "${trialParameters.team}"}
"""


def rendered() -> tuple[Experiment, Trial]:
    references = (
        RATE,
        f'{RATE}\n      - {{name: trial, reference: "${{trialSpec.Name}}"}}'
        '\n      - {name: team, reference: "${trialSpec.Labels[team]}"}',
    )
    labels = ("      kind: Job\n", "      kind: Job\n      metadata: {labels: {team: brain}}\n")
    shell = ('"${trialParameters.width}"]', '"${trialParameters.width}", "$(TWICE) $(unknown) $$HOME"]')
    # What Katib leaves alone: any sign may stand in it.
    push = ("  trialTemplate:\n", "  metricsCollectorSpec: {collector: {kind: Push}}\n  trialTemplate:\n")
    text = changed(
        references, labels, shell, push, ("            restartPolicy", ENVIRONMENT + "            restartPolicy")
    )
    assignments = {"lr": '0.01"', "depth": "2", "optimiser": "adam", "width": "16"}
    experiment = parse_experiment(YAML(typ="safe", pure=True).load(text))
    return experiment, Trial(number=3, name="plain-3", assignments=assignments)


def test_a_trials_values_stand_in_their_places() -> None:
    argv, environment, folder = render(*rendered())
    assert argv == ["ctlr", "trial", "--set", 'lr=0.01"', "depth=2", "adam", "16", '0.01"-0.01" $(unknown) $HOME']
    assert environment == {"RATE": '0.01"', "TWICE": '0.01"-0.01"', "TEAM": "brain"}
    assert folder == "/work/plain-3"


def test_the_whole_job_of_a_trial_is_named_and_filled_in() -> None:
    experiment, trial = rendered()
    job = rendered_spec(experiment, trial)
    assert job["metadata"] == {"labels": {"team": "brain"}, "name": "plain-3", "namespace": "default"}
    assert "trialParameters" not in repr(job)
    assert "${trialParameters.rate}" in repr(experiment.manifest)


def test_a_trial_that_lacks_a_value_is_refused() -> None:
    experiment, trial = rendered()
    with pytest.raises(ConfigError, match="plain-3: each parameter needs a value; 'lr' has none"):
        render(experiment, trial.model_copy(update={"assignments": {}}))


def test_a_template_in_a_config_map_is_taken_with_its_references(tmp_path: Path) -> None:
    more = '{name: x, reference: x}, {name: label, reference: "${trialSpec.Labels[a]}"}'
    experiment = read(tmp_path, FROM_CONFIG_MAP.replace("{name: x, reference: x}", more))
    assert experiment.references == {"x": "x", "label": "${trialSpec.Labels[a]}"}
    assert experiment.trial.command == ()
    with pytest.raises(ConfigError, match="out of which no GPU can be taken here"):
        without_gpus(experiment)


def test_the_form_for_processors_asks_for_no_gpu_and_is_a_right_manifest() -> None:
    experiment = read_experiment(Path(__file__).parents[3] / "katib" / "scratch-random.yaml")
    assert "nvidia.com/gpu" in repr(experiment.manifest)
    changed = without_gpus(experiment)
    assert parse_experiment(changed.manifest) == changed
    assert changed.trial.image == "ctlr/ctlr-cpu:0.1.0"
    assert "nvidia" not in repr(changed.manifest)
    pod = changed.manifest["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]
    assert not {"nodeSelector", "tolerations"} & set(pod)  # Katib's webhook refuses what is empty
    assert pod["containers"][0]["resources"] == {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"memory": "8Gi"}}


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[3] / "katib").glob("*.yaml")), ids=lambda path: path.stem
)
def test_every_metric_of_the_shipped_manifests_has_a_strategy_of_its_own(path: Path) -> None:
    """Katib gives the others the objective's: a minimised loss would show the least r2."""
    objective = YAML(typ="safe").load(path)["spec"]["objective"]
    strategies = {each["name"]: each["value"] for each in objective["metricStrategies"]}
    assert list(strategies) == [objective["objectiveMetricName"], *objective["additionalMetricNames"]]
    assert strategies[objective["objectiveMetricName"]] == objective["type"][:3]
    assert all(value == "max" for name, value in strategies.items() if name in ("val_r2", "val_roc_auc"))
