"""Scoring: prefix trees, attention over trees, matrix products, windows, beam search."""
