"""Stage 5b of the line, trade: markets as models; the simulated venue over one shared book."""
