"""Output layers: from a hidden vector to a distribution over the vocabulary."""
