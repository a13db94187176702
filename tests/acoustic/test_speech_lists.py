"""Folders, manifests and tables give the same utterances as they are written down."""

import numpy as np
import pytest
import soundfile

from asr_lm.acoustic.finding import find_speech
from asr_lm.acoustic.segments import read_segments
from asr_lm.acoustic.speech import Speech
from asr_lm.errors import InputError


def sound(path, seconds=0.1):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(int(16_000 * seconds), np.float32), 16_000)
    return path


def test_a_folder_is_searched_at_any_depth(tmp_path):
    paths = [sound(tmp_path / "b" / "two.flac"), sound(tmp_path / "one.wav")]
    (tmp_path / "notes.txt").write_text("nothing")
    found = find_speech([tmp_path])
    assert found == [Speech("b-two", paths[0], recording="b-two"), Speech("one", paths[1], recording="one")]
    assert find_speech([paths[1]]) == [Speech("one", paths[1], recording="one")]


def test_librispeech_folders_bring_references(tmp_path):
    chapter = tmp_path / "test-clean" / "1089" / "134686"
    path = sound(chapter / "1089-134686-0000.flac")
    (chapter / "1089-134686.trans.txt").write_text("1089-134686-0000 HE HOPED\n1089-134686-0001 STUFF  IT\n")
    first, missing = find_speech([tmp_path])
    assert first == Speech("1089-134686-0000", path, reference="HE HOPED", recording="1089-134686")
    assert (missing.reference, missing.path.exists()) == ("STUFF IT", False)


def test_a_manifest_says_where_utterances_are(tmp_path):
    (tmp_path / "manifest.jsonl").write_text(
        '{"audio": "a.wav", "start": 1.5, "duration": 2, "reference": "so", "recording": "r", "id": "x", "more": 1}\n'
        '\n{"audio": "sub/b.wav"}\n'
    )
    expected = [
        Speech("x", tmp_path / "a.wav", 1.5, 2.0, "so", "r"),
        Speech("b", tmp_path / "sub/b.wav", recording="b"),
    ]
    assert find_speech([tmp_path]) == find_speech([tmp_path / "manifest.jsonl"]) == expected


def kaldi(folder, scp="r1 r1.wav\n", segments="u1 r1 0.5 2.0\nu2 r1 2 -1\n"):
    (folder / "wav.scp").write_text(scp)
    (folder / "segments").write_text(segments)
    (folder / "text").write_text("u1 AND  SO\n")
    return folder


def test_kaldi_tables_are_joined(tmp_path):
    path = tmp_path / "r1.wav"
    assert find_speech([kaldi(tmp_path)]) == [
        Speech("u1", path, 0.5, 1.5, "AND SO", "r1"),
        Speech("u2", path, 2.0, None, None, "r1"),
    ]
    (tmp_path / "segments").unlink()
    assert find_speech([tmp_path / "wav.scp"]) == [Speech("r1", path, recording="r1")]


@pytest.mark.parametrize(
    ("table", "content", "message"),
    [
        ("scp", "r1 sox a.wav -t wav - |\n", "output of a command, which is not run"),
        ("scp", "r1\n", "expected a recording's name and its file"),
        ("segments", "u1 r2 0 1\n", "no recording 'r2'"),
        ("segments", "u1 r1 0\n", "expected an utterance, its recording"),
        ("segments", "u1 r1 2 1\n", "duration -1 s"),
        ("segments", "u1 r1 nan 1\n", "start nan"),
        ("segments", "u1 r1 0 1\nu1 r1 1 2\n", "two utterances of this id"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, table, content, message):
    with pytest.raises(InputError, match=message):
        find_speech([kaldi(tmp_path, **{table: content})])


@pytest.mark.parametrize("line", ["nonsense", '{"id": "x"}', '{"audio": "a.wav", "start": "soon"}'])
def test_a_wrong_manifest_is_refused(tmp_path, line):
    (tmp_path / "m.jsonl").write_text('{"audio": "a.wav"}\n' + line + "\n")
    with pytest.raises(InputError, match="expected an object with audio") as caught:
        find_speech([tmp_path / "m.jsonl"])
    assert caught.value.line == 2


def test_nothing_to_recognise_is_an_error(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError):
            find_speech([path])


def test_a_long_recording_is_cut_and_its_pieces_are_all_of_it(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000 * 10).astype(np.float32)
    noise[16_000 * 3 : 16_000 * 3 + 8_000] = 0
    soundfile.write(tmp_path / "a.wav", noise, 16_000, subtype="FLOAT")
    found = list(read_segments(Speech("a", tmp_path / "a.wav", recording="a"), 16_000, 4.0))
    assert np.array_equal(np.concatenate([piece.content for piece in found]), noise)
    assert all(len(piece.content) <= 64_000 for piece in found)
    assert 3.0 <= found[1].offset <= 3.5
    assert found[0].id == f"a-{0:07}-{round(found[1].offset * 100):07}"
    assert {piece.recording for piece in found} == {"a"}


def test_what_has_a_reference_is_not_cut(tmp_path):
    path = sound(tmp_path / "a.wav", 3)
    assert [piece.id for piece in read_segments(Speech("a", path, reference="so"), 16_000, 3.0)] == ["a"]
    with pytest.raises(InputError, match="has a reference"):
        list(read_segments(Speech("a", path, reference="so"), 16_000, 2.0))
