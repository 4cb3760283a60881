"""Encoders, one per file, found by name."""
