"""How does a bundle's graph compete? It is asked after a belief, and its answer becomes an opinion.

The contender never runs the graph: it says an Ask with its features, the runtime brings back an
Answer as an input fact, and only then it forms an opinion. An answer that is late, broken or not
what the bundle's contract says means HOLD, with the reason. Before the end of its training window
a bundle is not asked at all: it would only repeat what it was shown.
"""

from __future__ import annotations

import math

from titanflow.core.base.ident import derive
from titanflow.core.base.instant import format_date
from titanflow.core.contender.protocol import Opinion, Part, View
from titanflow.core.facts import Answer, Ask
from titanflow.core.perception.features import parse_feature
from titanflow.core.spec.bundle import Contract
from titanflow.core.spec.words import OutputKind, Reply, Side

PARTS_TOLERANCE = 1e-4
"""How far the parts' sum may be from the output that they explain: both are single precision."""


def answer_to(
    ask: Ask,
    reply: Reply,
    outputs: tuple[float, ...] = (),
    parts: tuple[float, ...] = (),
    text: str = "",
) -> Answer:
    """Return the answer to *ask*, at the time of the ask."""
    return Answer(
        derive(ask.id, b"answer", 0),
        ask.id,
        ask.at,
        ask.seen,
        ask.contender,
        ask.symbol,
        ask.bundle,
        reply,
        outputs,
        parts,
        text,
    )


class BundleContender:
    """Asks the graph of a bundle and follows its answer, by the thresholds of the contract."""

    def __init__(self, contract: Contract, min_confidence: float = 0.0) -> None:
        self.contract = contract
        self.bundle = contract.digest
        self.features = contract.features
        self.trade_from = contract.trade_from
        self.min_confidence = min_confidence
        self._names = (*contract.features, "base")
        self._bars = max(parse_feature(name).lookback for name in contract.features)

    def ask(self, view: View) -> tuple[float, ...] | None:
        """Return the numbers to ask the graph about, or None when it is not to be asked."""
        if view.at < self.trade_from or not view.warm:
            return None
        return tuple([view[name] for name in self.features])

    def decide(self, view: View) -> Opinion:
        """Hold, and say why nobody was asked."""
        if view.at < self.trade_from:
            ended = format_date(self.trade_from)
            return _hold(f"it may have been trained on this: it holds until {ended}")
        if not view.warm:
            return _hold(f"warming up: {view.bars_seen} of {self._bars} bars")
        return _hold("no answer yet")

    def answered(self, view: View, answer: Answer) -> Opinion:
        """Return the opinion that follows from an answer; HOLD from one that is none."""
        problem = self._problem(answer)
        if problem:
            return _hold(f"no usable answer: {problem}")
        value = answer.outputs[0]
        base, parts = self._explained(view, answer)
        score = math.fsum([base, *(part.contribution for part in parts)])
        output = self.contract.output
        edge = value - output.center
        confidence = self._confidence(value, edge)
        text = f"{_said(output.kind, value)}, {abs(edge):.4f} {'above' if edge > 0 else 'below'} "
        text += f"{output.center:g}; it acts from {output.enter:g} on"
        side, strength = Side.HOLD, 0.0
        if confidence < self.min_confidence:
            text += f"; confidence {confidence:.4f} is below {self.min_confidence:g}"
        elif abs(edge) >= output.enter:
            side = Side.BUY if edge > 0 else Side.SELL
            if side is Side.BUY or output.short:
                strength = side * min(1.0, abs(edge) / output.full)
        return Opinion(side, strength, score, base, parts, text, confidence, output.horizon_seconds)

    def _problem(self, answer: Answer) -> str:
        """Return why the answer cannot be used, or an empty string."""
        if answer.reply is not Reply.OK:
            return f"{answer.reply.value} {answer.text}".rstrip()
        if answer.bundle != self.bundle:
            return f"it is of bundle {answer.bundle[:12]}"
        wanted = len(self._names) if self.contract.explained else 0
        if len(answer.outputs) != 1 or len(answer.parts) != wanted:
            shape = f"{len(answer.outputs)} outputs and {len(answer.parts)} parts"
            return f"{shape}, the contract says 1 and {wanted}"
        if not all(map(math.isfinite, (*answer.outputs, *answer.parts))):
            return "a number is not finite"
        value = answer.outputs[0]
        probable = self.contract.output.kind is OutputKind.PROBABILITY
        if probable and not 0.0 <= value <= 1.0:
            return f"{value} is no probability"
        if wanted:
            total = math.fsum(answer.parts)
            told = _logistic(total) if probable else total
            if abs(told - value) > PARTS_TOLERANCE * max(1.0, abs(value)):
                return f"its parts make {told:.6g}, its output is {value:.6g}"
        return ""

    def _explained(self, view: View, answer: Answer) -> tuple[float, tuple[Part, ...]]:
        """Return base and parts of the score: log-odds of a probability, else the output."""
        if self.contract.explained:
            values = (view[name] for name in self.features)
            told = zip(self.features, values, answer.parts, strict=False)
            return answer.parts[-1], tuple(Part(*each) for each in told)
        value = answer.outputs[0]
        score = value
        if self.contract.output.kind is OutputKind.PROBABILITY:
            sure = min(max(value, 1e-9), 1.0 - 1e-9)
            score = math.log(sure / (1.0 - sure))
        return 0.0, (Part(self.contract.name, value, score),)

    def _confidence(self, value: float, edge: float) -> float:
        if self.contract.output.kind is OutputKind.PROBABILITY:
            return max(value, 1.0 - value)
        return min(1.0, abs(edge) / self.contract.output.full)


def _hold(text: str) -> Opinion:
    return Opinion(Side.HOLD, 0.0, 0.0, text=text)


def _said(kind: OutputKind, value: float) -> str:
    if kind is OutputKind.PROBABILITY:
        return f"probability {value:.4f}"
    return f"expected return {value:+.4f}"


def _logistic(logit: float) -> float:
    if logit < 0.0:
        grown = math.exp(max(logit, -700.0))
        return grown / (1.0 + grown)
    return 1.0 / (1.0 + math.exp(-min(logit, 700.0)))
