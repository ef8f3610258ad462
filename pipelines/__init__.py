"""Kubeflow pipelines over the components, and their compiled form: `python -m pipelines` makes it again."""
