"""Sentinel: is everybody still there? Hosts no stage.

Observes: heartbeats and the lease, nothing else.
States: who was heard last, and when.
Promises: without a fresh lease it engages the arena's kill switch, also when governance is gone; it
may stop trading, and never start it again.
"""
