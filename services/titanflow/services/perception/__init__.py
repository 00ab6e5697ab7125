"""Perception: events become beliefs. Hosts the stage `perceive`.

Observes: bars and splits of the market stream.
States: the windows of every feature of every instrument; in the snapshot.
Promises: the same events give the same beliefs, bit for bit; a feature that has not seen enough is
NaN, never a guess; nothing after an instant shows in its belief.
"""
