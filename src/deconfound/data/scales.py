"""The names of the input scalings, for specifications, which load no PyTorch."""

SCALES = ("standard", "robust", "rank-gauss", "none")
"""By mean and standard deviation, by median and quartiles, to a normal by quantiles, and as it is."""
