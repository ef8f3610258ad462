"""Benchmarks on Kubeflow: what its components call, and the client that submits them."""
