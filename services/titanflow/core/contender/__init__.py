"""Stage 3 of the line, decide: everything that competes turns beliefs into signals and intents."""
