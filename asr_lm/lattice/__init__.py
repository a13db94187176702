"""Lattices: millions of hypotheses in one graph.

Nothing here needs more than NumPy and, where a model scores, torch; :mod:`asr_lm.lattice.k2` alone needs k2.
"""
