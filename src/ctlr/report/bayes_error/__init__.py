"""Estimates of the Bayes error, beside the known one, under wrong labels, and when they are worthless."""
