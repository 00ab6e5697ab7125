"""Risk: every wish gets one verdict. Hosts the stage `gate`.

Observes: intents, and everything that moves cash, positions, marks and kill switches.
States: its own projection of books and open orders, trading states, switches; in the snapshot.
Promises: asks nobody and fails closed; without a fresh lease it denies; only its verdicts reach the
desk. docs/risk.md lists its checks.
"""
