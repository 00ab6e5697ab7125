"""Version 1 of the wire: one message for each fact, generated from the .proto files beside it.

`python -m tools.make_proto` writes the generated modules; docs/wire.md has the rules of change.
"""
