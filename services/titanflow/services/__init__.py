"""The services: one folder each, which says what it observes, what state it has, what it promises.

A pod hosts any of them. A service that answers questions has an `rpc.py`: functions of a message,
over a port of `titanflow.adapters.rpc.ports`. Services do not know each other.
"""
