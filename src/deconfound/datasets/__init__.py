"""Readers of file layouts, and synthetic worlds."""
