"""The feature table: one row a hypothesis, one column a score."""
