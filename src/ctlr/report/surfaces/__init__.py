"""Decision surfaces of classifiers in the plane."""
