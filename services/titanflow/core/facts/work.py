"""What does the core ask of something slow, and what came back?"""

from __future__ import annotations

from titanflow.core.facts.fact import Fact
from titanflow.core.spec.words import Reply


class Ask(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """A contender's question to the model in a bundle. Recomputed on demand, not stored.

    `cause` is the belief that made it ask; `bundle` is the SHA-256 of the archive in hexadecimal;
    `features` are the numbers that the bundle's manifest names, in its order.
    """

    contender: str
    symbol: str
    bundle: str
    features: tuple[float, ...]


class Answer(Fact, frozen=True, array_like=True, tag=True, gc=False):
    """What came back for one ask (`cause`): an input, recorded, so that replay asks nobody.

    `outputs` are the graph's numbers. `parts`, where the graph explains itself, holds what each
    feature added, in the order of the ask's features, and then the base. A `reply` other than OK
    has neither, and `text` says why.
    """

    contender: str
    symbol: str
    bundle: str
    reply: Reply
    outputs: tuple[float, ...]
    parts: tuple[float, ...] = ()
    text: str = ""
