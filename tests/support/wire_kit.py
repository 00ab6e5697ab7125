"""Values for the wire: facts of every type from their annotations alone, drawn or fixed."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import random
import struct
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args, get_origin

import google_crc32c
import msgspec
from hypothesis import strategies as st

from titanflow.adapters.codec import InputRef, Turn
from titanflow.core import facts
from titanflow.core.base.ident import ID_BYTES, Id
from titanflow.core.facts import Fact

INT64 = (-(2**63), 2**63 - 1)
EDGES: dict[object, tuple[Any, ...]] = {
    int: (0, INT64[0], INT64[1], -1),
    float: (-0.0, float("nan"), float("inf"), float("-inf"), 5e-324),
    bool: (False,),
    str: ("", "\0", "Ω 🜁"),
    bytes: (b"", b"\0\xff"),
    Id: (bytes(ID_BYTES), b"\xff" * ID_BYTES),
}


def walk() -> dict[str, list[type[Fact]]]:
    """Return every type of fact by the name of its module, whether it is exported or not."""
    found: dict[str, list[type[Fact]]] = {}
    for entry in pkgutil.iter_modules(facts.__path__):
        module = importlib.import_module(f"{facts.__name__}.{entry.name}")
        found[entry.name] = [
            kind
            for _, kind in inspect.getmembers(module, inspect.isclass)
            if issubclass(kind, Fact) and kind is not Fact and kind.__module__ == module.__name__
        ]
    return found


def kinds() -> list[type[Fact]]:
    """Return every type of fact, ordered by name."""
    return sorted((kind for many in walk().values() for kind in many), key=lambda k: k.__name__)


def drawn(annotation: Any) -> st.SearchStrategy[Any]:
    """Return values of an annotation, the whole range of them."""
    plain = {
        int: st.integers(*INT64),
        # Any bits at all: NaNs with a payload must come through as well.
        float: st.floats() | st.integers(0, 2**64 - 1).map(_float_of),
        bool: st.booleans(),
        str: st.text(max_size=20),
        bytes: st.binary(max_size=40),
        Id: st.binary(min_size=ID_BYTES, max_size=ID_BYTES),
    }
    if annotation in plain:
        return plain[annotation]
    if inspect.isclass(annotation) and issubclass(annotation, Enum):
        return st.sampled_from(list(annotation))
    if inspect.isclass(annotation) and issubclass(annotation, msgspec.Struct):
        return st.builds(annotation, *(drawn(f.type) for f in msgspec.structs.fields(annotation)))
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)
        if inner[1:] == (...,):
            return st.lists(drawn(inner[0]), max_size=4).map(tuple)
        return st.tuples(*map(drawn, inner))
    return st.one_of(*(drawn(each) for each in get_args(annotation)))


def turns(*some: type[Fact]) -> st.SearchStrategy[Turn]:
    """Return turns with facts of *some* types, or of any."""
    ref = st.builds(InputRef, st.text(max_size=12), st.integers(0, 2**64 - 1))
    fact = st.one_of(*(drawn(kind) for kind in some or kinds()))
    return st.builds(
        Turn,
        st.text(max_size=12),
        st.integers(0, 2**64 - 1),
        drawn(int),
        st.lists(ref, max_size=3).map(tuple),
        st.lists(fact, max_size=4).map(tuple),
        drawn(int),
    )


def plain(annotation: Any, names: Iterator[int]) -> Any:
    """Return a fixed value, another for each number that *names* gives."""
    if annotation is bool:
        return True
    if inspect.isclass(annotation) and issubclass(annotation, Enum):
        members = list(annotation)
        return members[next(names) % len(members)]
    if inspect.isclass(annotation) and issubclass(annotation, msgspec.Struct):
        fields = msgspec.structs.fields(annotation)
        return annotation(*(plain(field.type, names) for field in fields))
    if get_origin(annotation) is tuple:
        inner = get_args(annotation)
        many = (inner[0],) * 3 if inner[1:] == (...,) else inner
        return tuple(plain(each, names) for each in many)
    number = next(names)
    values = {
        int: 1000 + number,
        float: number + 0.125,
        str: f"word {number}",
        bytes: bytes([number]) * 32,
        Id: bytes([number]) * ID_BYTES,
    }
    return values[annotation]


def edge(annotation: Any, names: Iterator[int]) -> Any:
    """Return a fixed value at the edge of what is allowed; tuples are empty."""
    if annotation in EDGES:
        values = EDGES[annotation]
        return values[next(names) % len(values)]
    if inspect.isclass(annotation) and issubclass(annotation, Enum):
        return list(annotation)[-1]
    if inspect.isclass(annotation) and issubclass(annotation, msgspec.Struct):
        fields = msgspec.structs.fields(annotation)
        return annotation(*(edge(field.type, names) for field in fields))
    return ()


def bits(turn: Turn) -> tuple[bytes, str]:
    """Return a turn so that two are equal only if every bit and every type is."""
    # MessagePack keeps a float's bits, and the text shows words as members, not as strings.
    return msgspec.msgpack.encode(turn), repr(turn)


def seal(body: bytes) -> bytes:
    """Return *body* with a checksum that fits, as a message made by somebody else would have."""
    return body + b"\xfd\x7f" + google_crc32c.value(body).to_bytes(4, "little")


def unsealed(data: bytes) -> bytes:
    """Return a turn's bytes without the checksum."""
    return data[:-6]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Return *data* with one to four small damages."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(damaged) + 1)
        match chance.randrange(5):
            case 0 if at < len(damaged):
                damaged[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(damaged):
                damaged[at] = chance.choice((0, 0x7F, 0x80, 0xFF))
            case 2:
                damaged[at:at] = chance.randbytes(chance.randint(1, 6))
            case 3:
                del damaged[at : at + chance.randint(1, 8)]
            case _:
                end = at + chance.randint(1, 24)
                damaged[at:at] = damaged[at:end]
    return bytes(damaged)


def _float_of(number: int) -> float:
    value: float = struct.unpack("<d", struct.pack("<Q", number))[0]
    return value
