"""Protocols: named sets of metrics, one a file, found by the name of the module."""
