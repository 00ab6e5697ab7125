"""A million operations, and the gate on paper agrees with every answer."""

import random
from collections import Counter

import numpy as np
from gate_pair import CAPITAL, Traffic, make_pair, reading

SEED = 20_261_124
OPERATIONS, BATCH = 1_000_000, 5_000


def batch(traffic, paper):
    """Return rows and the answers of the gate on paper."""
    rows, answers = [], []
    while len(rows) < BATCH:
        row = traffic.next()
        before = paper.hold_price(row[1], row[2])
        follow = [row]
        while follow:
            row = follow.pop()
            answer = paper.apply(row)
            rows.append(row)
            answers.append(answer)
            follow += traffic.after(row, answer[0], before)
    return rows, answers


def test_a_million_operations_agree_with_the_gate_on_paper():
    chance = random.Random(SEED)
    fast, paper = make_pair(chance, 6, 3, 1)
    traffic = Traffic(chance, paper)
    rules, done = Counter(), 0

    while done < OPERATIONS:
        rows, answers = batch(traffic, paper)
        said = fast.apply(np.array(rows, np.int64))
        assert answers == list(map(tuple, said.tolist())), f"seed {SEED}, after {done} rows"
        assert paper.reading() == reading(fast), f"seed {SEED}, after {done} rows"
        fast.validate()
        done += len(rows)
        rules.update(answer[0] for row, answer in zip(rows, answers, strict=True) if row[0] == 1)
        for c in range(6):
            # New capital and a clean slate, or everything would be refused by and by.
            amount = CAPITAL - fast.equity(c)
            for gate in (fast, paper):
                gate.pay(c, amount)
                gate.lift(c)

    assert len(rules.keys() - {0}) >= 15, rules
    assert rules[0] > OPERATIONS // 50, rules
