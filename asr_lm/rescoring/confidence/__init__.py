"""Confidence: how likely each word of the output is to be right."""
