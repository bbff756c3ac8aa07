"""Trunkline: the event backbone of a multi-tenant data and AI platform."""

__version__ = "0.1.0"
