"""The pure core: deterministic, without clock, chance, input or output."""
