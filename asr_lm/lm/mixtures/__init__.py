"""Models made of models: linear and log-linear mixtures."""
