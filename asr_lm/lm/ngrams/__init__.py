"""n-gram models: estimation (Kneser-Ney) and their files (ARPA, KenLM)."""
