"""Drivers of the arena: the only place with a clock."""
