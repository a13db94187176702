"""Training: text and lists as batches, the loop, checkpoints, and what it leaves in a folder."""
