"""A layer transfer: which layers of a network serve another task."""
