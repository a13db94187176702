"""What errors are counted in: one module a metric."""
