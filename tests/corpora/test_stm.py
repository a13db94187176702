"""STM lines as NIST's tools write them."""

import pytest

from asr_lm.corpora.stm import TimeMark, read_stm
from asr_lm.errors import InputError


def written(tmp_path, text):
    path = tmp_path / "talk.stm"
    path.write_text(text)
    return path


def test_lines_are_read_with_and_without_labels(tmp_path):
    text = (
        ';; LABEL "o" "Overall" "Overall results"\n'
        "Talk_2010 1 Ann 0 2.5 <o,f0,female>  and  so\n"
        "Talk_2010 1 gap 2.5 3 <o,,> ignore_time_segment_in_scoring\n"
        "\n"
        "Talk_2010 A Ann 3.00 4.25 <NA> <unk> it 's\n"
        "Talk_2010 A Bob 4.25 5 <F0_M> yes\n"
        "Talk_2010 A Bob 5 6 <unk> no label\n"
        "Talk_2010 A Bob 6 7\n"
    )
    assert list(read_stm(written(tmp_path, text))) == [
        TimeMark("Talk_2010", "Ann", 0.0, 2.5, "and so", True),
        TimeMark("Talk_2010", "gap", 2.5, 3.0, "ignore_time_segment_in_scoring", False),
        TimeMark("Talk_2010", "Ann", 3.0, 4.25, "<unk> it 's", True),
        TimeMark("Talk_2010", "Bob", 4.25, 5.0, "yes", True),
        TimeMark("Talk_2010", "Bob", 5.0, 6.0, "<unk> no label", True),
        TimeMark("Talk_2010", "Bob", 6.0, 7.0, "", True),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Talk 1 Ann 2.5", "expected recording, channel, speaker, start, end"),
        ("Talk 1 Ann one 2.5 <o,f0,male> so", "'one', expected seconds"),
        ("Talk 1 Ann 1 nan <o,f0,male> so", "'nan', expected seconds"),
        ("Talk 1 Ann -1 2 <o,f0,male> so", "'-1', expected seconds"),
        ("Talk 1 Ann 2 2 <o,f0,male> so", "ends at 2 s and begins at 2 s"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, message):
    path = written(tmp_path, f"Talk 1 Ann 0 1 <o,f0,male> fine\n{line}\n")
    with pytest.raises(InputError) as refusal:
        list(read_stm(path))
    assert str(refusal.value).startswith(f"{path}:2: ")
    assert message in str(refusal.value)
