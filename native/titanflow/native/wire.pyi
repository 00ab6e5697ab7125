# Types of the compiled layouts; the documentation is in wire.pyx.

from collections.abc import Iterable, Sequence
from typing import Any

SOURCE_SHA256: str
KINDS: tuple[str, ...]

class Unfit(ValueError): ...  # noqa: N818 - a state, said as such

class Column:
    name: str
    def __init__(
        self,
        name: str,
        number: int,
        kind: str,
        *,
        repeated: bool = False,
        optional: bool = False,
        default: object = None,
        members: Sequence[tuple[int, Any]] = (),
        record: Layout | None = None,
    ) -> None: ...

class Layout:
    make: type[Any] | None
    def __init__(self, make: type[Any] | None, columns: Iterable[Column]) -> None: ...
    def encode(self, record: object) -> bytes: ...
    def decode(self, data: bytes, size: int) -> Any: ...
