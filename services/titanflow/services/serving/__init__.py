"""Serving: graphs of signed bundles answer asks. Hosts no stage.

Observes: asks, as requests of the Open Inference Protocol, version 2.
States: which bundle has which name; nothing that outlives it.
Promises: a bundle is verified before anything in it is parsed, and run in a process of its own with
limits; requests of many contenders share a call; a new version replaces the former without a
dropped request; an answer is finite or is refused.
Answers: the Open Inference Protocol.
"""
