"""Decision rules: how one hypothesis of a list, or the words of a lattice, are chosen."""
