"""Searches held against an expert's options: errors on all sides, what was chosen, and which of the two to take."""
