"""Everything needed to get the numbers again."""
