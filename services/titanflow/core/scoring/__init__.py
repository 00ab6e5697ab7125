"""Stage 7 of the line, score: entries and marks become standings."""
