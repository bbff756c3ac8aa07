"""Governance: policies in versioned bundles, and assets kept from readers while their checks fail."""
