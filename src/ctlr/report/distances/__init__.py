"""Drawings of two datasets side by side."""
