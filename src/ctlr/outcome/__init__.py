"""What remains of a run, wherever it was made: its report, its records, and where they come from."""
