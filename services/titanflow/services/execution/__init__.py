"""Execution: verdicts become orders, and orders fills. Hosts the stage `trade`.

Observes: verdicts, bars, splits, and risk's orders to cancel.
States: live orders and the venues' books; in the snapshot.
Promises: nothing but an allowed verdict of the present kill epoch makes an order; an order never
trades in the bar in which it was decided; without a fresh lease resting orders are cancelled.
Answers: which orders are open.
"""
