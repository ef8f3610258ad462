"""Gains over the best baseline."""
