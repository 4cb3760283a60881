"""Readers: one file format each, found by its module name."""
