"""What a trial template may hold: the type of a batch/v1 Job, as Katib 0.19's webhook converts it, and what can run."""

from pathlib import Path

import pytest
from job_types import job_types
from plain_manifest import PLAIN, faults_of, read

from ctlr.tuning import jobs

JOB = """\
      spec:
        template:
          spec:
            containers:
              - name: train
                image: ghcr.io/ctlr/ctlr:cpu
"""
RESTART = "            restartPolicy: Never\n"


def with_job(job: str = "", pod: str = "", container: str = "", template: str = "", metadata: str = "") -> str:
    """The plain manifest with more lines in its Job, its pod's spec, its container, its pod's metadata."""
    text = PLAIN.replace(
        "      spec:\n        template:\n", f"{metadata}      spec:\n{job}        template:\n{template}"
    )
    return text.replace("                image: ghcr.io", f"{container}                image: ghcr.io").replace(
        RESTART, f"{pod}{RESTART}"
    )


# The first sixteen were refused by the webhook of Katib 0.19 and passed here.
REFUSED = {
    "text for backoffLimit": (with_job(job='        backoffLimit: "3"\n'), "backoffLimit: must be a whole number"),
    "a fraction for backoffLimit": (
        with_job(job="        backoffLimit: 1.5\n"), "backoffLimit: must be a whole number"),
    "text for activeDeadlineSeconds": (
        with_job(job='        activeDeadlineSeconds: "60"\n'), "activeDeadlineSeconds: must be a whole number"),
    "text for the grace": (
        with_job(pod='            terminationGracePeriodSeconds: "30"\n'),
        "terminationGracePeriodSeconds: must be a whole number"),
    "text for parallelism": (with_job(job='        parallelism: "1"\n'), "parallelism: must be a whole number"),
    "text for containerPort": (
        with_job(container='                ports: [{containerPort: "80"}]\n'),
        "containerPort: must be a whole number"),
    "text for runAsUser": (
        with_job(pod='            securityContext: {runAsUser: "1000"}\n'), "runAsUser: must be a whole number"),
    "text for suspend": (with_job(job='        suspend: "true"\n'), "suspend: must be true or false"),
    "text for readOnlyRootFilesystem": (
        with_job(container='                securityContext: {readOnlyRootFilesystem: "yes"}\n'),
        "readOnlyRootFilesystem: must be true or false"),
    "a number as a label": (with_job(template="          metadata: {labels: {run: 1}}\n"), "run: must be a text"),
    "a boolean as an annotation": (
        with_job(template="          metadata: {annotations: {inject: false}}\n"), "inject: must be a text"),
    "a boolean in nodeSelector": (with_job(pod="            nodeSelector: {gpu: true}\n"), "gpu: must be a text"),
    "an emptyDir that is a text": (
        with_job(pod="            volumes: [{name: a, emptyDir: none}]\n"), "emptyDir: must be a mapping"),
    "tolerations that are a mapping": (
        with_job(pod="            tolerations: {key: gpu}\n"), "tolerations: must be a list"),
    "much cpu": (
        with_job(container="                resources: {limits: {cpu: much}}\n"),
        "cpu: must be a quantity; got 'much'"),
    "memory in GB": (
        with_job(container="                resources: {requests: {memory: 8GB}}\n"),
        "memory: must be a quantity; got '8GB'"),
    "a label's key with a space": (
        with_job(template='          metadata: {labels: {"my run": a}}\n'), "must be a label's key"),
    "an unknown field at depth": (
        with_job(container="                livenessProbe: {httpGet: {prot: 80}}\n"), "Did you mean 'port'?"),
    # What Katib lets pass, and what then never runs.
    "no restartPolicy": (PLAIN.replace(RESTART, ""), "the pods of a Job need Never or OnFailure"),
    "pods that restart always": (PLAIN.replace("Policy: Never", "Policy: Always"), "need Never or OnFailure"),
    "no image": (PLAIN.replace("                image: ghcr.io/ctlr/ctlr:cpu\n", ""), "image: is missing"),
    "an unknown volume": (
        with_job(container="                volumeMounts: [{name: data, mountPath: /data}]\n"),
        "the pod has no volume 'data'"),
    "a container twice": (
        PLAIN.replace(
            "              - name: train\n", "              - {name: train, image: x}\n              - name: train\n"),
        "each container has a name of its own; got 'train' again"),
    "a condition that no Job says": (
        PLAIN.replace(
            "    trialParameters:\n",
            '    successCondition: status.conditions.#(type=="Done")#\n    trialParameters:\n'),
        "a Job never says 'Done'"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_job_holds_or_no_job_runs_is_refused_with_its_line(tmp_path: Path, case: str) -> None:
    text, words = REFUSED[case]
    assert text != PLAIN
    (fault,) = faults_of(tmp_path, text)
    assert words in fault


ALLOWED = {
    "quantities": with_job(
        container="                resources: {limits: {cpu: 1.5, memory: 8Gi, nvidia.com/gpu: 1}, "
        "requests: {cpu: 500m}}\n"),
    "volumes": with_job(
        pod="            volumes: [{name: data, persistentVolumeClaim: {claimName: c}}, "
        "{name: s, emptyDir: {sizeLimit: 1Gi}}]\n",
        container="                volumeMounts: [{name: data, mountPath: /data}]\n"),
    "ports by number or name": with_job(
        container="                livenessProbe: {httpGet: {port: http, path: /}, periodSeconds: 5}\n"),
    "values in labels": with_job(template='          metadata: {labels: {rate: "${trialParameters.rate}"}}\n'),
    "a Job's own conditions": PLAIN.replace(
        "    trialParameters:\n",
        '    failureCondition: status.conditions.#(type=="Failed")#|#(status=="True")#\n    trialParameters:\n'),
}  # fmt: skip


@pytest.mark.parametrize("case", ALLOWED)
def test_what_a_job_may_hold_passes(tmp_path: Path, case: str) -> None:
    assert ALLOWED[case] != PLAIN
    assert read(tmp_path, ALLOWED[case]).name == "plain"


def test_the_table_of_types_holds_all_that_the_installed_client_knows() -> None:
    """But what the API has given up since: the sources of resource claims."""
    gone = {"V1ClaimSource", "V1ResourceClaim"}
    for name, fields in job_types().items():
        if name in gone:
            continue
        known = jobs._types()[name]
        for field, kind in fields.items():
            if (name, field) != ("V1PodResourceClaim", "source"):
                assert known[field] == kind.replace("list[V1ResourceClaim]", "list[CoreV1ResourceClaim]"), (name, field)
