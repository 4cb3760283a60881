"""Corruptions, one per file, found by name."""
