"""Stage 2 of the line, perceive: market events become beliefs."""
