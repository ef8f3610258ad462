"""The model card, beside the page."""
