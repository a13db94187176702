"""What is written of a part is what decode reads, and the text is its references."""

import numpy as np
import pytest
import soundfile

from asr_lm.acoustic.finding import find_speech
from asr_lm.acoustic.speech import Speech
from asr_lm.corpora.manifest import write_part
from asr_lm.corpora.training_text import write_training_text
from asr_lm.errors import InputError
from asr_lm.files import iterate_text


@pytest.fixture
def talk(tmp_path):
    path = tmp_path / "in" / "talk.wav"
    path.parent.mkdir()
    soundfile.write(path, np.zeros(8_000, np.int16), 8_000)
    return path


def lines(path):
    return [line for _, line in iterate_text(path)]


def test_decode_reads_what_was_written(talk, tmp_path):
    spoken = [
        Speech("a", talk, reference="so it was", recording="r"),
        Speech("b", talk, 0.25, 0.5, "and <left out>"),
        Speech("c", talk, 0.5, 0.75, "it is", "r"),
        Speech("d", talk, 0.5, 0.5049, "rounded", "r"),
    ]
    for folder in (tmp_path, tmp_path / "out"):  # Beside the sound, and elsewhere.
        folder.mkdir(exist_ok=True)
        contents = write_part(folder, "dev", spoken, incomplete={"b"})
        assert find_speech([folder / "dev.jsonl"]) == [
            Speech("a", talk, 0.0, 1.0, "so it was", "r"),
            Speech("b", talk, 0.25, 0.5, "and <left out>", "b"),
            Speech("c", talk, 0.5, 0.5, "it is", "r"),
            Speech("d", talk, 0.5, 0.5, "rounded", "r"),
        ]
        assert lines(folder / "dev.txt") == ["so it was", "it is", "rounded"]
        assert (contents.utterances, contents.sentences, contents.words, contents.shortened) == (4, 3, 9, 1)
        assert contents.seconds == pytest.approx(2.5)
        assert contents.left_out == []
    assert '"audio":"in/talk.wav"' in lines(tmp_path / "dev.jsonl")[0]


def test_sound_that_cannot_be_read_is_named_and_the_rest_written(talk, tmp_path):
    (tmp_path / "empty.wav").write_bytes(b"")
    spoken = [
        Speech("a", tmp_path / "none.wav", reference="one"),
        Speech("b", tmp_path / "empty.wav", reference="two"),
        Speech("c", talk, 1.0, 2.0, "three"),
        Speech("d", talk, reference="four"),
    ]
    contents = write_part(tmp_path, "dev", spoken)
    assert [speech.id for speech in find_speech([tmp_path / "dev.jsonl"])] == ["d"]
    reasons = ("no such file", "empty file", "begins at 1 s, and the sound lasts 1 s")
    for identity, reason, said in zip("abc", reasons, contents.left_out, strict=True):
        assert said.startswith(f"{identity}: ")
        assert reason in said
    before = (tmp_path / "dev.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"none.wav: no such file"):
        write_part(tmp_path, "dev", spoken, strict=True)
    with pytest.raises(InputError, match=r"no utterance of dev could be written \(a: .*none.wav"):
        write_part(tmp_path, "dev", spoken[:3])
    assert (tmp_path / "dev.jsonl").read_bytes() == before


def test_text_is_written_with_what_it_has_of_the_test(tmp_path):
    sentences = [f"sentence {number}" for number in range(2_000)]
    path = tmp_path / "lm.txt.zst"
    references = {"dev": {"sentence 7", "sentence 8", "another"}, "test": {"none"}}
    assert write_training_text(path, ["", *sentences], references) == (2_000, {"dev": 2, "test": 0})
    assert lines(path) == sentences
    # A share is the same sentences in whatever order, and every copy of them.
    count, _ = write_training_text(path, sentences + sentences[::-1], {}, share=0.25)
    chosen = lines(path)
    assert len(chosen) == count
    assert chosen == chosen[::-1]
    assert 400 < len(set(chosen)) < 600
    with pytest.raises(InputError, match="no sentence"):
        write_training_text(path, [""], {})
    assert lines(path) == chosen
