"""Does the compiled gate answer as the gate on paper does, whatever the limits and the order?"""

import random

import pytest
from gate_pair import Traffic, make_pair, reading

from titanflow.native.gate import Gate

STEPS = 2_000
CONTENDERS, INSTRUMENTS = 4, 3


def changed(fast, paper, name, *arguments):
    """Do the same to both and return what they say."""
    return getattr(fast, name)(*arguments), getattr(paper, name)(*arguments)


def kill(fast, paper, chance):
    arena = chance.random() < 0.03
    whos = [int(chance.random() < 0.05) for _ in range(CONTENDERS)]
    things = [int(chance.random() < 0.05) for _ in range(INSTRUMENTS)]
    fast.set_killed(arena, whos, things)
    paper.arena_killed = arena
    for who, killed in zip(paper.contenders, whos, strict=True):
        who.killed = bool(killed)
    for it, killed in zip(paper.instruments, things, strict=True):
        it.killed = bool(killed)


def trade(fast, paper, traffic, chance):
    """Send one row through the single calls of both."""
    row = traffic.next()
    while True:
        operation, c, i, side, kind, tif, lots, price, now, decided = row
        before = fast.hold_price(c * INSTRUMENTS + i, i)
        assert paper.hold_price(c, i) == before
        fast.check_nothing()
        rule = 0
        if operation == 1:
            order = (c, i, side, kind, tif, lots, price, now, decided, chance.random() < 0.03)
            answer, (rule, limit, actual) = changed(fast, paper, "check", *order)
            assert (rule, limit, actual) == (answer, fast.limit, fast.actual)
            if rule == 0:
                changed(fast, paper, "hold", c, i, side, price or before, 0, lots)
        elif operation == 2:
            changed(fast, paper, "hold", c, i, side, price, lots, 0)
        elif operation == 3:
            changed(fast, paper, "fill", c, i, side, lots, price, now)
        else:
            one, two = changed(fast, paper, "mark", i, price, now, decided)
            assert two == one
        following = traffic.after(row, rule, before)
        if not following:
            return
        row = following[0]


def rarer(fast, paper, traffic, chance):
    c, i = chance.randrange(CONTENDERS), chance.randrange(INSTRUMENTS)
    match chance.randrange(8):
        case 0:
            kill(fast, paper, chance)
        case 1:
            changed(fast, paper, "lift", c)
        case 2:
            changed(fast, paper, "pay", c, chance.randint(-(10**5), 10**5))
        case 3:
            halted = chance.random() < 0.1
            fast.halt_runaway(c, halted)
            paper.contenders[c].halt_runaway = halted
        case 4:
            fast.check_nothing()
            one, two = changed(fast, paper, "check_cancel", c, traffic.now)
            assert two == (one, fast.limit, fast.actual)
        case 5:
            fast.check_nothing()
            order = (c, i, chance.choice([1, -1]), chance.randint(0, 50))
            one, two = changed(fast, paper, "check_risk", *order)
            assert two == (one, fast.limit, fast.actual)
        case 6:
            one, two = changed(fast, paper, "begin_day", paper.day + chance.randint(0, 1))
            assert two == one
        case 7:
            for who, what, side, price, lots in traffic.open:
                if what == i:
                    changed(fast, paper, "hold", who, what, side, price, lots, 0)
            traffic.open = [order for order in traffic.open if order[1] != i]
            changed(fast, paper, "split", i, *chance.choice([(2, 1), (1, 2), (3, 2), (2, 3)]))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("groups", [0, 2])
def test_every_answer_and_every_sum_agree_after_every_step(seed, groups):
    chance = random.Random(seed)
    fast, paper = make_pair(chance, CONTENDERS, INSTRUMENTS, groups, (0.5, 0.05)[seed % 2])
    traffic = Traffic(chance, paper)

    for step in range(STEPS):
        if chance.random() < 0.95:
            trade(fast, paper, traffic, chance)
        else:
            rarer(fast, paper, traffic, chance)
        assert paper.reading() == reading(fast), f"seed {seed}, {groups} groups, step {step}"
        fast.validate()

    other = Gate(CONTENDERS, INSTRUMENTS, groups)
    other.load(fast.dump())
    assert fast.digest() == other.digest()


def test_a_gate_refuses_what_its_books_cannot_hold():
    gate = Gate(1, 1)
    gate.set_instrument(0, (1, 1, 0, 0, 0, 0, 0))

    with pytest.raises(ValueError, match="cannot hold"):
        gate.hold(0, 0, 1, 10, 5, 0)
    with pytest.raises(OverflowError, match="a fill"):
        gate.fill(0, 0, 1, 0, 10, 0)
    with pytest.raises(ValueError, match="a mark"):
        gate.mark(0, 0, 0, 0)
    with pytest.raises(ValueError, match="positive ratio"):
        gate.split(0, 0, 1)
    gate.mark(0, 1 << 40, 0, 0)
    with pytest.raises(OverflowError, match="exposure"):
        gate.hold(0, 0, 1, 1, 0, 1 << 30)
    with pytest.raises(ValueError, match="needs contenders"):
        Gate(0, 1)


def test_open_orders_over_a_split_are_a_broken_promise():
    gate = Gate(1, 1)
    gate.set_instrument(0, (1, 1, 0, 0, 0, 0, 0))
    gate.hold(0, 0, 1, 10, 0, 1)

    with pytest.raises(ValueError, match="open orders"):
        gate.split(0, 2, 1)


def test_validate_names_the_sum_that_is_wrong():
    gate = Gate(1, 1)
    gate.arrays["state"][0, 5] = 1

    with pytest.raises(AssertionError, match="sum 5 of contender 0"):
        gate.validate()
