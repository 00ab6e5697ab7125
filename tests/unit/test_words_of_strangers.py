"""Do words of strangers stay words, in records and on terminals?"""

import math

import pytest
from stock_bars import stock_bars

from titanflow.cli.output import harmless, one_line, table
from titanflow.core.contender.protocol import (
    HORIZON_SECONDS_MAX,
    PART_NAME_MAX,
    PARTS_MAX,
    TEXT_MAX,
    ContenderError,
    Opinion,
    Part,
    Side,
    Wish,
)
from titanflow.core.contender.rehearsal import Rehearsal

BARS = stock_bars()[:3]


class Saying:
    """Says what it was given."""

    features = ()

    def __init__(self, said):
        self.said = said

    def decide(self, view):
        """Say it."""
        del view
        return self.said


def opinion(**values: object) -> Opinion:
    return Opinion(Side.HOLD, 0.0, 0.0, **values)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (opinion(text="\ud800"), "text holds half a character (U+D800)"),
        (opinion(text="a" * (TEXT_MAX + 1)), f"text has {TEXT_MAX + 1} characters"),
        (opinion(text=b"x"), "text must be str"),
        (opinion(parts=(Part("\udfff", 0.0, 0.0),)), "name of a part holds half a character"),
        (opinion(parts=(Part("x" * (PART_NAME_MAX + 1), 0.0, 0.0),)), "name of a part has"),
        (opinion(parts=(Part("x", math.nan, 0.0),)), "of part 'x' must be finite"),
        (opinion(parts=(Part("x", math.inf, 0.0),)), "of part 'x' must be finite"),
        (opinion(parts=(Part("x", 0.0, 0.0),) * (PARTS_MAX + 1)), "parts are more than"),
        (opinion(parts=("x",)), "a part must be a Part, got str"),
        (opinion(horizon_seconds=-1), "horizon_seconds must be 0 to"),
        (opinion(horizon_seconds=HORIZON_SECONDS_MAX + 1), "horizon_seconds must be 0 to"),
        (opinion(horizon_seconds=1.5), "horizon_seconds must be int"),
        ((Wish.market(Side.BUY, 1, client_order_id="\ud800"),), "holds half a character"),
        ((Wish.market(Side.BUY, 1, client_order_id="a\nb"),), "must be printable"),
        ((Wish.market(Side.BUY, 1, client_order_id="\x1b[2J"),), "must be printable"),
        ((Wish.market(Side.BUY, 1, client_order_id="x" * 65),), "has 65 characters, more than 64"),
        ((Wish.cancel("\x00"),), "must be printable"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_words(said: object, words: str) -> None:
    rehearsal = Rehearsal(Saying(said), ["AAPL"])

    with pytest.raises(ContenderError) as caught:
        rehearsal.play(BARS)

    assert words in str(caught.value)


def test_a_malformed_wish_is_told_how_sound_ones_are_made() -> None:
    rehearsal = Rehearsal(Saying((Wish.market(Side.BUY, 1.5),)), ["AAPL"])

    with pytest.raises(ContenderError) as caught:
        rehearsal.play(BARS)

    assert "quantity_lots of a wish must be int, got 1.5" in str(caught.value)
    assert "Wish.limit()" in str(caught.value)
    assert "view.warm" not in str(caught.value)


def test_the_longest_words_that_are_allowed_are_recorded() -> None:
    parts = (Part("n" * PART_NAME_MAX, 1.0, 0.0),) * PARTS_MAX
    said = opinion(text="☃" * TEXT_MAX, parts=parts, horizon_seconds=HORIZON_SECONDS_MAX)

    heard = Rehearsal(Saying(said), ["AAPL"]).play(BARS)

    assert "☃" * TEXT_MAX == heard[0][0].explanation.text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ☃ Ω", "plain ☃ Ω"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("a\rb\tc\x00", "a\\rb\\tc\\x00"),
        ("a\u202eb\u200b", "a\\u202eb\\u200b"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_would_move_a_cursor_is_spelt_out(text: str, shown: str) -> None:
    assert shown == harmless(text)


def test_a_cell_of_a_table_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    table("", ("Order",), [("x\n  forged  100 %\x1b[1A",)])

    out = capsys.readouterr().out
    assert "x\\n  forged  100 %\\x1b[1A" in out
    assert "a\\nb" == one_line("a\nb")
