"""Recipes that make public speech corpora into manifests and texts, and the packaged sample."""
