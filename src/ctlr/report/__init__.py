"""The report: rows first, then drawings."""
