"""What the parts of a representation hold: probes, leakage, dependence, known factors, and a verdict in words."""

from deconfound.diagnostics.recovery import RecoveryScore, recovery

__all__ = ["RecoveryScore", "recovery"]
