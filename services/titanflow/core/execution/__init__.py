"""Stage 5a of the line, trade: verdicts become orders."""
