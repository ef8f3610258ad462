"""Tables of points, and generated ones."""
