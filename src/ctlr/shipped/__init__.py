"""Benchmark files and searches that come with CTLR: the folders benchmarks/ and katib/ of its repository."""
