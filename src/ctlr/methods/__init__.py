"""Methods: what is minimised, as losses on the one training loop."""
