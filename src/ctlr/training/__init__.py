"""The one training loop, what it freezes, its checkpoints and metrics."""
