"""Signals, tasks and datasets, and their store on disk."""
