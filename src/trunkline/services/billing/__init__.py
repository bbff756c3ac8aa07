"""Billing: what every tenant uses, counted exactly, against what it may use."""
