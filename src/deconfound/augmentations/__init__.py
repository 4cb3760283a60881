"""Augmentations, one per file, found by name."""
