"""Pure functions of which metrics and protocols are made: weighted sums, class counts, probabilities, label classes."""
