"""Data: BIDS and image folders, the synthetic cohort, preprocessing, splits, views."""
