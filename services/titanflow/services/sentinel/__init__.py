"""Sentinel: is everybody still there? Hosts no stage.

Observes: heartbeats, the lease in those of governance, and commands of before.
States: who was heard last, and when; incidents, open and past; nothing that is not heard again.
Promises: what is wrong is logged with begin and end; without a lease for longer than a restart
takes it engages the arena's kill switch, once for each outage; it may stop trading, and never start
it again; whom it could not hear it does not judge.
Answers: how the session is, and what is wrong, also when governance is gone.
"""
