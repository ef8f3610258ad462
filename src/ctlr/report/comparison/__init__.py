"""Runs held against each other: what differs in them, and what their studies gain over each other."""
