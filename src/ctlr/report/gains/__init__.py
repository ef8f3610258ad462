"""Gains over training from scratch."""
