"""What the parts of a representation hold: probes, leakage, dependence, known factors, and a verdict in words."""

from deconfound.diagnostics.recovery import Recovered, recovery

__all__ = ["Recovered", "recovery"]
