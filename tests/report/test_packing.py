"""What a page holds is what went in, to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_lm.report.packing import pack_arrays, unpack_arrays

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCORES = st.decimals(-9999, 9999, places=4).map(float)


@given(st.lists(FINITE), st.lists(SCORES), st.lists(st.integers(-(2**29), 2**29)))
def test_every_number_comes_back_exactly(doubles, scores, counts):
    given_values = {"d": np.array(doubles, dtype=np.float64), "s": np.array(scores, dtype=np.float64)}
    given_values["c"] = np.array(counts, dtype=np.int64)
    values, _, _ = unpack_arrays(pack_arrays(given_values, {}, None))
    for name, array in given_values.items():
        np.testing.assert_array_equal(values[name], array)


def test_texts_and_record_come_back():
    _, texts, record = unpack_arrays(pack_arrays({}, {"a": "зима 冬".encode(), "b": b""}, {"ids": ["</script>", "ü"]}))
    assert texts == {"a": "зима 冬".encode(), "b": b""}
    assert record == {"ids": ["</script>", "ü"]}


@pytest.mark.parametrize(
    ("most", "values"),
    [
        (0.1, np.zeros(10_000)),
        (2.7, np.round(np.random.default_rng(0).normal(-40, 9, 10_000), 2)),
        (9.2, np.random.default_rng(0).normal(-40, 9, 10_000)),
    ],
)
def test_bytes_a_number_in_the_page(most, values):
    assert len(pack_arrays({"v": values}, {}, None)) / len(values) < most


def test_the_same_content_is_the_same_page():
    assert pack_arrays({"v": np.arange(9)}, {"t": b"x"}, [1]) == pack_arrays({"v": np.arange(9)}, {"t": b"x"}, [1])
