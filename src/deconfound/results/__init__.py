"""Evaluated runs gathered for reports and tables."""
