"""Stage 4 of the line, gate: risk answers every intent with a verdict, and fails closed."""
