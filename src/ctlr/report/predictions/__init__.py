"""What lies behind a score: predictions, gaps, ROC, calibration, confusion."""
