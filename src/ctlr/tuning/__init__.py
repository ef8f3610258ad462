"""Searches: Katib Experiments that run anywhere."""
