"""Emissions come back from disk as they were kept; a journal knows what it finished."""

import pytest
import torch
from safetensors.torch import save_file

from asr_lm.acoustic.journal import Journal, Recognised
from asr_lm.acoustic.saved_emissions import Shards, frame_seconds, saved_sources
from asr_lm.acoustic.segments import Segment
from asr_lm.acoustic.tokens import Tokens
from asr_lm.errors import InputError
from asr_lm.hypotheses.utterance import Hypothesis, Utterance

TOKENS = Tokens(("-", "|", "a"))


def segment(name, frames, offset=0.0, reference=None, source="", number=0, of=1):
    content = torch.randn(frames, 3, generator=torch.Generator().manual_seed(frames)).log_softmax(-1)
    return Segment(name, offset, content, reference, "r", source, number, of)


def same(first, second):
    names = ("id", "offset", "reference", "recording", "source", "number", "of")
    facts = [[getattr(one, name) for name in names] for one in (first, second)]
    return facts[0] == facts[1] and torch.equal(first.content, second.content)


def test_what_is_kept_is_what_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("asr_lm.acoustic.saved_emissions._SHARD_BYTES", 60)
    shards = Shards(tmp_path / "e", "recogniser", TOKENS, 0.03)
    given = [
        segment("long-1", 7, 1.5, source="long", number=1, of=2),
        segment("short", 4, reference="aa"),
        segment("long-0", 5, source="long", of=2),
    ]
    second, last, first = map(shards.keep, given)
    kept = [first, second, last]
    assert (kept[0].content - segment("long-0", 5).content).abs().max() < 2e-3
    shards.flush()
    shards.flush()
    assert len(list((tmp_path / "e").glob("*.safetensors"))) == 2
    sources = saved_sources([tmp_path / "e"], Tokens.read(tmp_path / "e" / "tokens.txt"))
    assert [source.id for source in sources] == ["long", "short"]
    read = [one for source in sources for one in source.load()]
    assert len(read) == 3
    assert all(same(*pair) for pair in zip(kept, read, strict=True))
    assert frame_seconds([tmp_path / "e"]) == 0.03
    again = Shards(tmp_path / "e", "recogniser", TOKENS, 0.03)
    assert list(again.saved) == ["long", "short"]
    assert [name in again for name in ("long-0", "long-1", "short", "long")] == [True, True, True, False]
    again.keep(given[0])
    again.flush()
    assert len(list((tmp_path / "e").glob("*.safetensors"))) == 2
    with pytest.raises(InputError, match="not of another"):
        Shards(tmp_path / "e", "another", TOKENS, 0.03)


def test_a_recording_of_which_a_piece_is_missing_is_not_saved(tmp_path):
    shards = Shards(tmp_path, "recogniser", TOKENS, 0.03)
    shards.keep(segment("long-0", 5, source="long", of=2))
    shards.flush()
    again = Shards(tmp_path, "recogniser", TOKENS, 0.03)
    assert ("long-0" in again, list(again.saved)) == (True, [])
    again.keep(segment("long-0", 5, source="long", of=2))
    again.keep(segment("long-1", 6, source="long", number=1, of=2))
    again.flush()
    assert list(Shards(tmp_path, "recogniser", TOKENS, 0.03).saved) == ["long"]


def test_emissions_of_somebody_else_are_read(tmp_path):
    values = segment("x", 6).content.half()
    save_file({"b": values, "a": values[:2].clone()}, tmp_path / "e.safetensors")
    sources = saved_sources([tmp_path / "e.safetensors"], TOKENS)
    assert [source.id for source in sources] == ["a", "b"]
    (only,) = sources[1].load()
    assert torch.equal(only.content, values.float())
    assert (only.id, only.reference, only.offset) == ("b", None, 0.0)
    assert frame_seconds([tmp_path / "e.safetensors"]) is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(4, 5), "as there are 3 tokens"),
        (torch.zeros(4), "of shape"),
        (torch.full((4, 3), float("nan")), "found NaN"),
        (torch.ones(4, 3), "above 0"),
    ],
)
def test_what_are_no_emissions_is_refused(tmp_path, values, message):
    save_file({"u": values}, tmp_path / "e.safetensors")
    with pytest.raises(InputError, match=message) as caught:
        list(saved_sources([tmp_path / "e.safetensors"], TOKENS)[0].load())
    assert caught.value.utterance == "u"


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "e.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="damaged"):
        saved_sources([tmp_path / "e.safetensors"], TOKENS)


def recognised(name):
    return Recognised(Utterance(name, (Hypothesis("a", {"acoustic": -1.5}, times=((0.0, 0.1),)),)), 2.5)


def test_a_journal_goes_on_after_half_a_line(tmp_path):
    path = tmp_path / "j"
    journal = Journal(path, {"beam": 4})
    journal.add("one", 1, 2, recognised("one-1"))
    assert "one" not in journal
    journal.add("one", 0, 2, recognised("one-0"))
    journal.add("four", 0, 2, recognised("four-0"))
    journal.add("two", 0, 1, recognised("two"))
    journal.close(remove=False)
    path.write_bytes(path.read_bytes()[:-5])
    journal = Journal(path, {"beam": 4})
    assert [name in journal for name in ("one", "two", "four")] == [True, False, False]
    assert (journal.has("four", 0), journal.has("four", 1), journal.has("two", 0)) == (True, False, False)
    assert len(journal) == 1
    journal.add("two", 0, 1, recognised("two"))
    read = journal.read(["two", "three", "four", "one"])
    assert [one.utterance.id for one in read] == ["two", "one-0", "one-1"]
    assert list(journal.read(["two"])) == [recognised("two")]
    journal.close(remove=True)
    assert not path.exists()


def test_a_journal_of_another_job_is_begun_anew(tmp_path):
    journal = Journal(tmp_path / "j", {"beam": 4})
    journal.add("one", 0, 1, recognised("one"))
    journal.close(remove=False)
    assert len(Journal(tmp_path / "j", {"beam": 5})) == 0
