"""Who asks? The name in the client's certificate under mutual TLS, else what the caller states.

A proven name is the certificate's common name. A stated one is written `stated:alice`, so that the
record shows that nobody checked it; no certificate can make a name that looks like that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import grpc.aio
import msgspec

from titanflow.adapters.rpc.refusal import invalid, shown, unproven
from titanflow.adapters.rpc.trace import CURRENT, Trace, new_trace
from titanflow.core.base.errors import Problem

STATED: Final = "stated:"
NAME_MAX: Final = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@/-]*")


class Identity(msgspec.Struct, frozen=True):
    """A name, and whether a certificate proves it. Two persons differ if their `name` does."""

    name: str
    proven: bool

    def __str__(self) -> str:
        return self.name if self.proven else STATED + self.name


class Caller(msgspec.Struct, frozen=True):
    """What is known of who asks: `certified` is empty without mutual TLS.

    `seconds` is how long he waits, None if he did not say.
    """

    certified: str
    peer: str
    trace: Trace
    seconds: float | None = None

    def identity(self, stated: str, where: str) -> Identity:
        """Return who asks; *stated* is what the request says in its field *where*.

        With a certificate the field means nothing.

        Raises: RefusalError if the name is missing or is none.
        """
        if self.certified:
            return Identity(self.certified, proven=True)
        if not is_name(stated):
            what = f"{shown(stated)} is no name" if stated else "is missing"
            do = f"state who asks: letters, digits and . _ @ / -, at most {NAME_MAX}"
            raise invalid([Problem(what, where, do)])
        return Identity(stated, proven=False)


def is_name(text: str) -> bool:
    """Say whether a text may name somebody."""
    return len(text) <= NAME_MAX and _NAME.fullmatch(text) is not None


def caller_of(context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
    """Return who asks.

    Raises: RefusalError if a certificate's common name is none that we would write down.
    """
    return Caller(
        _common_name(context.auth_context()),
        context.peer(),
        CURRENT.get() or new_trace(),
        context.time_remaining(),
    )


def _common_name(auth: Mapping[str, Iterable[bytes]]) -> str:
    names = [name.decode("utf-8", "replace") for name in auth.get("x509_common_name", ())]
    if not names and b"ssl" not in auth.get("transport_security_type", ()):
        return ""
    if len(names) != 1 or not is_name(names[0]):
        found = ", ".join(map(shown, names[:2])) or "missing"
        raise unproven(f"the certificate's common name must be one plain name; it is {found}")
    return names[0]
