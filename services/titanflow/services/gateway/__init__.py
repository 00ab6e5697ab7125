"""Gateway: what happened outside becomes events, in one order.

Observes: files and providers of market data, through the quality gate.
States: how far each source was read; nothing that is not in the record as well.
Promises: all events of one instant are one turn, published once, before any later instant; bars
that break a rule are quarantined, and said.
"""
