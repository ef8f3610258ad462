"""The steps of a benchmark as Kubeflow Pipelines components: typed inputs and outputs around one call each.

They run in CTLR's own image, which holds kfp (the extra `cluster`). A function's source stands some eight times in a
workflow's status, and each artefact of a task some six times: workers have none, and say what they did in their log.
"""

IMAGE = "ctlr/ctlr-cpu:0.1.0"
"""Unless the benchmark's `platform.image` names another one."""
