"""The families of language models: one paper, one file."""
