"""How can the bus fail? Each way that a pod must answer differently has its own type.

Nothing here is retried by the caller: what can be mended by trying again was tried by the bus.
"""

from __future__ import annotations

from titanflow.core.base.errors import AdapterError


class BusError(AdapterError):
    """The bus could not do it within its budget; the pod stops, and starts again by recovery."""


class Closed(BusError):  # noqa: N818 - a state, said as such
    """There is no link and there will be none: the process must exit and be started anew."""


class Taken(Closed):
    """Another process of the same pod holds its seat: this one must go."""


class Fenced(BusError):  # noqa: N818 - a state, said as such
    """Somebody else wrote on this pod's subject: this copy of the pod is the one that must go."""

    def __init__(self, text: str, last: int | None = None) -> None:
        self.last = last
        """The last sequence on the subject, by the server's word; None if it did not say."""
        super().__init__(text)


class Forbidden(BusError):  # noqa: N818 - a state, said as such
    """The server refused the subject to this user: the declaration of permissions says who may."""


class StreamFull(BusError):  # noqa: N818 - a state, said as such
    """The stream has reached a limit and refuses what is new: trading halts until space is made."""
