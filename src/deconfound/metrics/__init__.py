"""Metrics, one a file, found by the name of the module."""
