"""Penalties over environments, one per file, found by name."""
