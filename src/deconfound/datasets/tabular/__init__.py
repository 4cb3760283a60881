"""Columns of numbers and categories as one modality."""
