"""Will a source help? Distances between datasets, and scores of a source model on a target."""
