"""Ledger: fills become double entries, and entries standings. Hosts the stages `post` and `score`.

Observes: fills, bars, corporate actions; orders, verdicts and trading states for the counts.
States: the books of every contender and their daily curves; in the snapshot.
Promises: every currency sums to zero; a fill is posted once; nothing is rounded in a contender's
favour; it writes the session's journal.
Answers: what a contender owns, and who stands where.
"""
