"""Governance: who may trade, and who stopped it. Hosts no stage.

Observes: commands of people, heartbeats of pods, the session's record.
States: the docket of rulings, the tokens of commands, the lease.
Promises: a command is answered when it is in the record and in the docket; the same token is the
same command; a switch is released by a second person only; the lease is renewed while it lives, and
not after.
Answers: kill, release, pause, resume; why; who is in which tier; how the session is.
"""
