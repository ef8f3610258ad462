"""The ranking that a race of searches ends with."""
