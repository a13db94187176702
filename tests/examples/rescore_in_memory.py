"""Hypotheses that a program holds in memory, rescored with the packaged model and nothing else.

python tests/examples/rescore_in_memory.py
"""

import asr_lm

heard = {
    "call-1": [("the ferry is lathe again", -41.2), ("the ferry is late again", -41.3)],
    "call-2": [("we more the boat beside the old pier", -60.5), ("we moored the boat beside the old pier", -60.6)],
}
lists = [
    asr_lm.Utterance(name, tuple(asr_lm.Hypothesis(text, {"acoustic": score}) for text, score in hypotheses))
    for name, hypotheses in heard.items()
]
# The scores are log-probabilities of the whole utterance; two utterances are too few to tell that from them.
result = asr_lm.rescore(lists, "default", score_kind="sum")
for utterance in result.utterances:
    print(utterance.id, utterance.hypotheses[0].text)
