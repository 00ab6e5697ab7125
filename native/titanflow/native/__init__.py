"""Compiled kernels: book, gate, ledger, window. They import nothing from TitanFlow."""
