"""Manifests whose trial's Job is right or wrong in one place.

What Katib says of each was seen with the webhook of Katib 0.19.0 on 27 November 2026;
tests/e2e/test_katib_cluster.py asks it again where it is there.
"""

from plain_manifest import PLAIN

__all__ = ["ALLOWED", "NEVER_RUN", "REFUSED"]

RESTART = "            restartPolicy: Never\n"


def with_job(job: str = "", pod: str = "", container: str = "", template: str = "", metadata: str = "") -> str:
    """The plain manifest with more lines in its Job, its pod's spec, its container, its pod's metadata."""
    text = PLAIN.replace(
        "      spec:\n        template:\n", f"{metadata}      spec:\n{job}        template:\n{template}"
    )
    return text.replace("                image: ghcr.io", f"{container}                image: ghcr.io").replace(
        RESTART, f"{pod}{RESTART}"
    )


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
    "an unknown field at depth": (
        with_job(container="                livenessProbe: {httpGet: {prot: 80}}\n"), "Did you mean 'port'?"),
    "a variable that is an empty text": (
        with_job(container='                env: [{name: A, value: ""}]\n'), 'changes; got "". Remove it.'),
    "a mount that is not read-only": (
        with_job(
            pod="            volumes: [{name: a, emptyDir: {}}]\n",
            container="                volumeMounts: [{name: a, mountPath: /a, readOnly: false}]\n"),
        "readOnly: Katib's webhook drops what is empty, and refuses a trialSpec that this changes; got false."),
    "no tolerations": (with_job(pod="            tolerations: []\n"), "changes; got []. Remove it."),
    "no labels": (with_job(metadata="      metadata: {labels: {}}\n"), "labels: Katib's webhook drops"),
    "a label that is nothing": (
        with_job(metadata="      metadata: {labels: {a: null}}\n"), "a: must be a text; got none"),
    "what kubectl writes of a new Job": (
        with_job(metadata="      metadata: {creationTimestamp: null}\n"), "changes; got null. Remove it."),
    "a probe at once": (
        with_job(container="                livenessProbe: {httpGet: {port: 80}, initialDelaySeconds: 0}\n"),
        "changes; got 0. Remove it."),
    "a backoffLimit of more than 32 bits": (
        with_job(job="        backoffLimit: 2147483648\n"), "backoffLimit: must fit into 32 bits"),
    "memory in the smaller unit": (
        with_job(pod="            volumes: [{name: s, emptyDir: {medium: Memory, sizeLimit: 2048Mi}}]\n"),
        "sizeLimit: must be a text, whole and in its largest unit"),
    "a fraction of memory": (
        with_job(pod="            volumes: [{name: s, emptyDir: {sizeLimit: 0.5Gi}}]\n"), "got '0.5Gi'"),
    "a number for sizeLimit": (
        with_job(pod="            volumes: [{name: s, emptyDir: {sizeLimit: 1024}}]\n"), "got 1024"),
}  # fmt: skip
"""By what is wrong: the manifest, and words of the fault. Katib 0.19's webhook refuses them too."""

NEVER_RUN = {
    "a label's key with a space": (
        with_job(template='          metadata: {labels: {"my run": a}}\n'), "must be a label's key"),
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
"""The same of what Katib's webhook lets pass, and what then never runs."""

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
    "what the API keeps though it is empty": with_job(
        metadata='      metadata: {labels: {a: ""}, annotations: {b: ""}}\n',
        job="        suspend: false\n        activeDeadlineSeconds: 4294967296\n",
        pod="            securityContext: {}\n            affinity: {}\n            volumes: [{name: a, "
        'csi: {driver: d, readOnly: false}}, {name: b, hostPath: {path: /b, type: ""}}, '
        "{name: s, emptyDir: {sizeLimit: 1536Mi}}]\n",
        container="                resources: {limits: {memory: 2048Mi}}\n"
        "                securityContext: {privileged: false, runAsUser: 4294967296}\n"),
    "values in labels": with_job(template='          metadata: {labels: {rate: "${trialParameters.rate}"}}\n'),
    "a Job's own conditions": PLAIN.replace(
        "    trialParameters:\n",
        '    failureCondition: status.conditions.#(type=="Failed")#|#(status=="True")#\n    trialParameters:\n'),
}  # fmt: skip
"""What both take."""
