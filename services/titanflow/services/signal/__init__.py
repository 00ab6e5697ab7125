"""Signal: beliefs become opinions and wishes. Hosts the stage `decide` for one contender, or many.

Observes: beliefs, and the contender's own orders, fills and entries.
States: the contender's memory and what it holds; in the snapshot.
Promises: a contender sees nobody else's facts, and its wishes go to risk and nowhere else; what it
asks a model is an ask, and the answer is an input like any other.
"""
