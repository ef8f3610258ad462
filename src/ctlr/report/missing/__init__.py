"""What is in no table: failed studies, excluded images."""
