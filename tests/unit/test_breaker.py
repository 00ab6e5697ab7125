"""Does a breaker open, wait, try again and forgive as its table says?"""

import pytest

from titanflow.core.base.breaker import Breaker, BreakerLimits, BreakerState

LIMITS = BreakerLimits(failures=3, first_ns=100, longest_ns=350)
CLOSED, OPEN, HALF = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN

# Events up to a time (f: a call failed, s: it succeeded, b: it began), then the state at a time.
TABLE = [
    ("", 0, CLOSED, True),
    ("f0 f1", 2, CLOSED, True),
    ("f0 f1 s2 f3 f4", 5, CLOSED, True),
    ("f0 f1 f2", 2, OPEN, False),
    ("f0 f1 f2", 101, OPEN, False),
    ("f0 f1 f2", 102, HALF, True),
    ("f0 f1 f2 b102", 102, HALF, False),
    ("f0 f1 f2 b102 s103", 103, CLOSED, True),
    ("f0 f1 f2 b102 s103 f104 f105", 106, CLOSED, True),
    ("f0 f1 f2 b102 f103", 302, OPEN, False),
    ("f0 f1 f2 b102 f103", 303, HALF, True),
    ("f0 f1 f2 b102 f103 b303 f304", 653, OPEN, False),
    ("f0 f1 f2 b102 f103 b303 f304", 654, HALF, True),
    ("f0 f1 f2 b102 f103 b303 f304 b654 f655", 1005, HALF, True),
]


@pytest.mark.parametrize(("events", "now", "state", "admits"), TABLE)
def test_the_table(events: str, now: int, state: BreakerState, admits: bool) -> None:
    breaker = Breaker(LIMITS)
    for event in events.split():
        at = int(event[1:])
        match event[0]:
            case "f":
                breaker = breaker.fail(at)
            case "s":
                breaker = breaker.succeed()
            case "b":
                breaker = breaker.begin()

    assert state is breaker.state(now)
    assert admits is breaker.admits(now)


def test_it_never_waits_longer_than_the_longest_time() -> None:
    breaker = Breaker(LIMITS)
    for at in range(0, 100_000, 1000):
        breaker = breaker.fail(at)

        assert breaker.until <= at + LIMITS.longest_ns
