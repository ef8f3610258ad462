"""What searches tried, chose and cost."""
