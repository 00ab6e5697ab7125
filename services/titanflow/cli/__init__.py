"""The `titanflow` command."""
