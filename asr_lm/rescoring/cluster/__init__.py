"""The second pass on a cluster: a list in parts that are rescored apart and add up to what one process makes of it."""
