"""Hypotheses of a recogniser: n-best lists and the tree of their prefixes.

* :mod:`~asr_lm.hypotheses.utterance`: what an utterance and a hypothesis are,
* :mod:`~asr_lm.hypotheses.reading`: ``read_nbest``, whatever the format,
* :mod:`~asr_lm.hypotheses.writing`: ``write_nbest``, JSON, TRN and CTM,
* :mod:`~asr_lm.hypotheses.fingerprint`: a name for a list by its texts,
* :mod:`~asr_lm.hypotheses.spool`: standard input that can be read twice,
* :mod:`~asr_lm.hypotheses.prefix_tree`: the tree that language models score.
"""
