"""Patches cut from big pictures: slides are read piece by piece, and never held as a whole."""
