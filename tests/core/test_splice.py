"""Files made of parts of another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.splice import MAX_LITERAL, MAX_PIECES, Piece, Splice, dump, length, load, splice

WHOLE = bytes(range(256)) * 4
piece = st.one_of(
    st.binary(max_size=20),
    st.integers(0, 300),
    st.tuples(st.integers(0, len(WHOLE)), st.integers(0, len(WHOLE))).map(lambda pair: (min(pair), max(pair))),
)


def naive(pieces: list[Piece]) -> bytes:
    return b"".join(WHOLE[p[0] : p[1]] if isinstance(p, tuple) else bytes(p) for p in pieces)


@given(st.lists(piece, max_size=12), st.data())
def test_any_part_is_the_slice_of_the_whole(pieces: list[Piece], data: st.DataObject) -> None:
    made = splice(len(WHOLE), pieces)
    expected = naive(pieces)
    assert made.applied(WHOLE) == expected
    assert made.size == len(expected)
    assert all(map(length, made.pieces))
    start = data.draw(st.integers(0, len(expected)))
    stop = data.draw(st.integers(start, len(expected)))
    assert naive(list(made.cut(start, stop))) == expected[start:stop]


@given(st.lists(piece, max_size=12))
def test_a_list_survives_json(pieces: list[Piece]) -> None:
    made = splice(len(WHOLE), pieces)
    assert load(len(WHOLE), dump(made.pieces)) == made


def test_neighbours_are_joined() -> None:
    made = splice(100, [(0, 10), (10, 20), b"a", b"", b"b", 2, 3, (20, 20), (30, 40)])
    assert made.pieces == ((0, 20), b"ab", 5, (30, 40))
    assert splice(100, [(0, 60), b"", (60, 100)]).same
    assert not Splice(100, ((0, 99),)).same


@pytest.mark.parametrize("listed", [
    None, {}, "x", [None], [[1]], [[1, 2, 3]], [["0", 1]], [[-1, 4]], [[5, 4]], [[0, 101]], [-1], [101], [True], [1.5],
    ["%"], ["QQ"], [[True, False, 1]], [[0, 1]] * (MAX_PIECES + 1),
])  # fmt: skip
def test_what_is_no_list_is_refused(listed: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        load(100, listed)


def test_a_list_that_is_a_second_copy_is_refused() -> None:
    with pytest.raises(ValueError, match="too much"):
        splice(10**6, [bytes(MAX_LITERAL), b"x"])
    with pytest.raises(ValueError, match="too much"):
        splice(10**6, [(n * 2, n * 2 + 1) for n in range(MAX_PIECES + 1)])


@pytest.mark.parametrize("pieces", [[(0, 10**6)] * 2, [10**6, (0, 10**6)], [(0, 10**6), MAX_LITERAL, 1]])
def test_a_list_that_repeats_the_object_is_refused(pieces: list[Piece]) -> None:
    """It would make many gigabytes of a picture."""
    with pytest.raises(ValueError, match="too much"):
        splice(10**6, pieces)
    assert splice(10**6, [(0, 10**6), bytes(MAX_LITERAL)]).size == 10**6 + MAX_LITERAL
