"""Fusions, one per file, found by name."""
