"""Scoring hypotheses with language models: batched, cached and resumable."""
