"""The sentence that says why a frame is the best of its group: true of the whole group, not of two of it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from safelight.analyses.choosing import why
from safelight.analyses.culling import Frame, ranked
from safelight.analyses.looks import Look

LOOK = Look(brightness=0.5, palette=(("#808080", 1.0),), aspect=1.5)
Figures = list[tuple[float, float]]


def reason(figures: Figures) -> tuple[str, int]:
    """Of frames in the gallery's order, each with its sharpness and clipped share; and the place of the best."""
    frames = [
        Frame(index=n, dhash=0, phash=0, at=None, sharpness=sharp, clipped=clipped, contrast=0.2, look=LOOK)
        for n, (sharp, clipped) in enumerate(figures)
    ]
    order = ranked(frames)
    return why(order), order[0][0].index


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        (
            [(18, 0.0), (16, 0.0), (20, 0.3)],
            (
                "Best balance of sharpness and light of 3: 90% as sharp as the sharpest, and about as little of it"
                " black or blown out as of any."
            ),
        ),
        (
            [(16, 0.10), (20, 0.26), (10, 0.0)],
            (
                "Best balance of sharpness and light of 3: 80% as sharp as the sharpest, and 10.0% black or blown out"
                " against 0.0% in the clearest."
            ),
        ),
        ([(10, 0.0), (20, 0.0), (15, 0.0)], "Sharpest details of 3: the next has 75% of its sharpness."),
        (
            [(20, 0.01), (15, 0.04), (10, 0.02)],
            (
                "Sharpest details of 3: the next has 75% of its sharpness, and least of it is black or blown out (1.0%"
                " against 2.0% or more)."
            ),
        ),
        (
            [(20, 0.3), (18, 0.01), (17, 0.2)],
            "Best light of 3: 1.0% black or blown out against 20.0% or more; 90% as sharp as the sharpest.",
        ),
        (
            [(20, 0.02), (20, 0.0)],
            "Best light of 2: 0.0% black or blown out against 2.0% or more; about as sharp as any.",
        ),
        ([(20, 0.0)] * 4, "As good as any of 4 in sharpness and light, and the first of them in the gallery."),
        ([(19.9, 0.0), (20, 0.0)], "As good as any of 2 in sharpness and light."),
        ([(0, 0.0), (0, 0.0)], "As good as any of 2 in sharpness and light, and the first of them in the gallery."),
    ],
)
def test_what_is_said(figures: Figures, told: str) -> None:
    assert reason(figures)[0] == told


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 0.6)), min_size=2, max_size=6))
@example([(18, 0.0), (16, 0.0), (20, 0.3)])
@example([(16, 0.10), (20, 0.26), (10, 0.0)])
def test_it_holds_against_every_other(figures: Figures) -> None:
    told, best = reason(figures)
    sharp, clipped = figures[best]
    others = figures[:best] + figures[best + 1 :]
    claims = {
        "Sharpest": all(sharp > one for one, _ in others),
        "least of it": all(clipped < one for _, one in others),
        "Best light": all(clipped < one for _, one in others),
        "As good as any": all(abs(sharp - one) <= 0.03 * sharp and abs(clipped - of) < 0.005 for one, of in others),
        "first of them": best == 0,
        "as sharp as any": all(sharp >= 0.97 * one - 0.03 for one, _ in others),
        "as little of it": all(clipped <= one + 0.005 for _, one in others),
        "as sharp as the sharpest": any(one > sharp for one, _ in others),
        "in the clearest": any(one < clipped for _, one in others),
    }
    made = {claim for claim in claims if claim in told}
    assert made
    assert all(claims[claim] for claim in made), told
