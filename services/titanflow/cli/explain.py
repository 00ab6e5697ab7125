"""How is one decision explained in a terminal? As its story, from inputs to result."""

from __future__ import annotations

from math import isnan
from pathlib import Path

import msgspec

from titanflow.cli.inspect import plain_fact
from titanflow.cli.output import Format, emit, table, tell
from titanflow.core.base.fixed import MINOR_PER_UNIT
from titanflow.core.base.instant import format_instant
from titanflow.core.facts import Entry, Fact, Fill, Order, OrderUpdate, Verdict
from titanflow.core.risk.rules import RULES
from titanflow.runtime import session as sessions
from titanflow.runtime.why import Answer, Check, Question, explain, in_unit


def why(decision: str, name: str, moment: tuple[str, str, str], output: Format) -> None:
    """Explain a decision named by id or by contender, symbol and time."""
    session = sessions.find(name)
    card_folder = session.card().folder
    question = Question(decision, *moment)
    answer = explain(session.journal, Path(card_folder) if card_folder else None, question)
    if output is Format.TABLE:
        _draw(answer)
    else:
        emit(_plain(answer), output)


def _plain(answer: Answer) -> dict[str, object]:
    signal = None if answer.signal is None else msgspec.to_builtins(plain_fact(answer.signal))
    return {
        "sentence": answer.sentence,
        "subject": plain_fact(answer.subject),
        "signal": signal,
        "features": _features(answer),
        "ask": None if answer.ask is None else plain_fact(answer.ask),
        "answer": None if answer.reply is None else plain_fact(answer.reply),
        "verdict": None if answer.verdict is None else plain_fact(answer.verdict),
        "checks": [msgspec.to_builtins(check) for check in answer.checks],
        "facts": [plain_fact(fact) for fact in answer.chain],
        "lineage": dict(answer.lineage),
    }


def _features(answer: Answer) -> dict[str, float | None]:
    if answer.belief is None:
        return {}
    values = answer.belief.features
    return {
        name: (None if isnan(value) else value)
        for name, value in zip(answer.features, values, strict=True)
    }


def _draw(answer: Answer) -> None:
    tell(answer.sentence)
    signal = answer.signal
    if signal is not None:
        heads = [
            ("signal", signal.id.hex()[:12]),
            ("at", format_instant(signal.at)),
            ("side", signal.side.name),
            ("strength", f"{signal.strength:+.4f}"),
            ("confidence", f"{signal.confidence:.4f}"),
            ("horizon", f"{signal.horizon_seconds} s"),
        ]
        table("What it thought", ("", ""), heads)
        parts = signal.explanation.parts
        rows = [("base", "", f"{signal.explanation.base:+.9f}")]
        rows += [(p.name, f"{p.value:.6g}", f"{p.contribution:+.9f}") for p in parts]
        rows.append(("score (their sum)", "", f"{signal.score:+.9f}"))
        table("What moved the score", ("Part", ">Value", ">Contribution"), rows)
    _draw_model(answer)
    if answer.belief is not None:
        seen = [
            (k, "warming up" if v is None else f"{v:.6g}") for k, v in _features(answer).items()
        ]
        table("What it saw (features of the bar that had ended)", ("Feature", ">Value"), seen)
    if answer.verdict is not None:
        _draw_checks(answer.verdict, answer.checks)
    if answer.chain:
        told = [
            (f.id.hex()[:12], format_instant(f.at), type(f).__name__, _line(f))
            for f in answer.chain
        ]
        table("What was recorded", ("Id", "At", "Kind", "What"), told)
    table("Lineage", ("What", "Digest"), answer.lineage)


def _draw_model(answer: Answer) -> None:
    """Write what the model of a bundle was asked and what it answered; why it did stands above."""
    ask, reply = answer.ask, answer.reply
    if ask is None:
        return
    rows = [("bundle", ask.bundle), ("ask", ask.id.hex()[:12])]
    if reply is None:
        rows.append(("answer", "not recorded"))
    else:
        rows += [
            ("answer", reply.id.hex()[:12]),
            ("reply", f"{reply.reply.value} {reply.text}".rstrip()),
            ("output", ", ".join(f"{value:.9g}" for value in reply.outputs) or "none"),
        ]
    asked = ", ".join(f"{value:.6g}" for value in ask.features)
    table("What the model was asked, and what it answered", ("", ""), [*rows, ("asked", asked)])


def _draw_checks(verdict: Verdict, checks: tuple[Check, ...]) -> None:
    """Write every check in the rules' order with its numbers; a dot marks what was not asked."""
    rows = []
    for rule in RULES:
        asked = [check for check in checks if check.rule == rule.name]
        if not asked:
            rows.append(("·", rule.name, "", "", rule.meaning))
            continue
        # Of several questions of one rule the one that refused is told, else the closest limit.
        told = next(
            (check for check in asked if check.refused),
            min(asked, key=lambda check: (check.limit < 0, check.limit)),
        )
        limit = "" if rule.unit == "none" else in_unit(told.limit, rule.unit)
        rows.append(
            (
                "✗" if told.refused else "✓",
                rule.name,
                "none" if limit and told.limit < 0 else limit,
                in_unit(told.actual, rule.unit),
                rule.meaning,
            )
        )
    table(
        f"Checks, in order: {verdict.outcome.value} {verdict.text}"
        f" (policies: {', '.join(verdict.policies) or 'none'}; ✓ passed, ✗ refused, · not asked)",
        ("", "Check", ">Limit", ">Actual", "Meaning"),
        rows,
    )


def _line(fact: Fact) -> str:
    if isinstance(fact, Fill):
        return (
            f"{fact.side.name} {fact.quantity_lots} at {fact.price_ticks} ticks, fee "
            f"{fact.fee / MINOR_PER_UNIT:.2f}, {fact.liquidity.value}, now {fact.status.value}"
            f" ({fact.leaves_lots} left)"
        )
    if isinstance(fact, Order):
        return (
            f"{fact.side.name} {fact.quantity_lots} {fact.order_type.value} "
            f"{fact.time_in_force.value}, at the venue {format_instant(fact.arrives_at)}"
        )
    if isinstance(fact, OrderUpdate):
        return f"{fact.status.value} {fact.text} (filled {fact.cum_lots})".replace("  ", " ")
    if isinstance(fact, Entry):
        lots = f" ({fact.quantity_lots:+d} lots)" if fact.quantity_lots else ""
        return (
            f"{fact.contender}: {fact.debit.value} ← {fact.credit.value} "
            f"{fact.amount / MINOR_PER_UNIT:.2f} {fact.currency} {fact.symbol}{lots}"
        )
    hidden = ("id", "cause", "at", "seen", "kind", "contender")
    return ", ".join(
        f"{k}={v}"
        for k, v in plain_fact(fact).items()
        if k not in hidden and v not in ("", None, [])
    )
