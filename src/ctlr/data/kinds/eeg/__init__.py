"""Synthetic cohorts of electroencephalograms, written as EDF+ files."""
