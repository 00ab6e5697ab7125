"""Stage 6 of the line, post: fills become double entries."""
