"""Pairs of source and target: which of them gain, and whether a score told beforehand."""
