"""What the benchmark cost."""
