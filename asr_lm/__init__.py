"""asr_lm: a second pass for speech recognition.

Hypotheses of a recogniser (n-best lists) are scored with language models trained here, the scores are combined with
weights tuned on a development list, and the result is measured against references. The sub-packages are

* :mod:`asr_lm.text`: normalisers and vocabularies,
* :mod:`asr_lm.lm`: language models and their training,
* :mod:`asr_lm.hypotheses`: n-best lists and the prefix tree,
* :mod:`asr_lm.rescoring`: scores, feature table, weights, decisions,
* :mod:`asr_lm.evaluation`: word errors and their statistics.
"""

__version__ = "0.1.0"
