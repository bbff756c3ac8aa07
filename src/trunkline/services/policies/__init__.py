"""Policies as governance and its enforcers share them."""
