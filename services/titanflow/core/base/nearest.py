"""What was probably meant? The nearest of the words that are right, or all of them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

WORDS_SHOWN = 12
"""Most words that a message lists."""


def close_to(word: str, words: Iterable[str]) -> str | None:
    """Return the word that *word* was probably meant to be, None if it is like none of *words*.

    >>> close_to("FASST", ["fast", "slow"])
    'fast'
    """
    lowered = {name.lower(): name for name in words}
    close = get_close_matches(word.lower(), lowered, n=1)
    return lowered[close[0]] if close else None


def nearest(word: str, words: Iterable[str]) -> str:
    """Return advice: the nearest of *words*, or all of them.

    >>> nearest("fasst", ["fast", "slow"])
    "did you mean 'fast'?"
    >>> nearest("x", ["fast", "slow"])
    'one of: fast, slow'
    """
    known = list(words)
    close = close_to(word, known)
    if close is not None:
        return f"did you mean {close!r}?"
    if not known:
        return ""
    more = ", …" if len(known) > WORDS_SHOWN else ""
    return f"one of: {', '.join(known[:WORDS_SHOWN])}{more}"
