"""Numbers that others published, each with its source, and whether they may stand beside our own."""

from deconfound.references.comparable import comparable, inputs_of
from deconfound.references.published import Reference, dataset_name, published, select_references

__all__ = ["Reference", "comparable", "dataset_name", "inputs_of", "published", "select_references"]
