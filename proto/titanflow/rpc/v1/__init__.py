"""Version 1 of our own questions and commands, generated from the .proto files beside it."""
