"""Scores by number of labelled subjects."""
