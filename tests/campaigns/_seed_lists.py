"""A small n-best list of every format that is a file."""

from __future__ import annotations

SEED_LISTS: dict[str, bytes] = {
    "canonical": b'{"id": "u1", "recording": "r", "reference": "one two", "hypotheses": [{"text": "one two", "scores": '
    b'{"acoustic": -1.5, "lm": -2e1}, "total": 3.25, "times": [[0, 0.5], [0.5, 1]]}, {"text": "", "scores": '
    b'{"acoustic": -3, "lm": -4}}]}\n{"id": "u2", "hypotheses": [{"text": "drei \xc3\xa9 \\u00e9 \\ud83d\\ude00", '
    b'"scores": {"acoustic": -3, "lm": 0}}]}\n',
    "mlm-scoring": b'{"u1": {"hyp_1": {"score": -1.5, "text": " one"}, "hyp_10": {"score": 2, "text": "nan"}, '
    b'"ref": "one"}, "u2": {"hyp_1": {"score": -1e3, "text": "zw\xc3\xb6lf"}}}',
    "hyporadise": b'[{"id": "u1", "input": ["one", "two"], "output": "one", "am_score": [-0.25, -1e-3]},\n'
    b'{"id": "u2", "input": ["", "\xc3\xa9"], "output": "x", "am_score": [-1, -2]}]',
    "nemo": b"one two\t-1.5\none\t-2e1\n\t0\nzw\xc3\xb6lf\t.5\n",
    "switchboard-ws97": b"2\tone two\n0.500\t-10.0\t1\tone\n1.000\t-4\t2\tuh huh\n",
    "kaldi-text": b"u-1 one two\nu-2 one\nv-1 zw\xc3\xb6lf a\nv-2 zw\xc3\xb6lf\n",
    "kaldi-ctm": b"u-1 1 0.0 0.5 one\nu-1 1 0.5 0.5 two\nu-2 1 0 0.5 one 0.9\nv-1 1 0 1 two\nv-2 1 0 1 two\n",
    "srilm": b"-10.5 -3.2 2 one two\n-11 -3 3 <s> one </s>\n",
    "htk-mlf": b'#!MLF!#\n"*/u1.rec"\n0 10 one -1.5\n10 20 two -2\n///\n0 10 one -4\n.\n"*/u2.rec"\ntwo -1\n///\n'
    b"three -2\n.\n",
    "julius": b"input speechfile: a.wav\nsentence1: <s> one two </s>\nscore1: -10.5 (AM: -9.5 LM: -1)\n"
    b"sentence2: <s> one </s>\nscore2: -12 (AM: -9 LM: -3)\n",
    "trn": b"one two (u-1)\none (u-2)\nzw\xc3\xb6lf (v-1)\nzw\xc3\xb6lf b (v-2)\n",
    "wenet": b"wav u1\ncandidate -1.5 one two\ncandidate -2e1 one\nwav u2\ncandidate -1 zw\xc3\xb6lf\ncandidate -3 x\n",
    "flashlight": b"u1 | -1.5 | -2 | -3 | 0.0 | one two\nu1 | -1.75 | -2 | -3 | 50 | one\nu2 | 0 | 1 | 2 | 3 | \n",
    "google": b'{"results": [{"alternatives": [{"transcript": "one", "confidence": 0.9}, {"transcript": "two"}]}]}\n'
    b'{"results": [{"alternatives": [{"transcript": "zw\xc3\xb6lf", "confidence": 0.5}, {"transcript": "x"}]}]}\n',
    "aws": b'{"results": {"transcripts": [{"transcript": "a"}], "segments": [{"alternatives": [{"transcript": "a"}, '
    b'{"transcript": "b"}]}]}}',
    "espnet1": b'{"utts": {"u1": {"output": [{"text": "one", "rec_text": "one<eos>", "score": -1.5}, {"text": "one", '
    b'"rec_text": "two<eos>", "score": -2}]}}}',
    "pyctcdecode": b'[[["one", null, [["one", [1, 2]]], -1.5, -2.5], ["two", null, [["two", [1, 2]]], -2, -2.75]]]',
    "speechbrain": b'[[{"text": "one", "last_lm_state": null, "score": -1, "lm_score": -2, "text_frames": null}, '
    b'{"text": "two", "last_lm_state": null, "score": -2, "lm_score": -4, "text_frames": null}]]',
    "table": b'utt_id,hyp,score,ref\nu1,one two,-1.5,one\nu1,one,-2e1,one\nu2,"a ""b"", c",-1,d\nu2,,-2,d\n',
    "json": b'{"utt_id": "u1", "ref": "one", "nbest": [{"text": "one", "logp": -1.5}, {"text": "two", "logp": -2}]}\n'
    b'{"utt_id": "u2", "ref": "zw\xc3\xb6lf", "nbest": [{"text": "", "logp": "tensor(-3)"}, '
    b'{"text": "x", "logp": -4}]}\n',
}
MANIFEST = b'{"audio_filepath": "a.wav", "text": "one"}\n{"audio_filepath": "b.wav", "offset": 1.5}\n'
