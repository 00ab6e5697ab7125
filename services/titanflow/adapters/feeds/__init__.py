"""Feeds: market data from files, through the quality gate, onto one tape."""
