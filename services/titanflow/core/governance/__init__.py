"""Governance's pure part: who is in which tier, and the docket of what was asked and ruled."""
