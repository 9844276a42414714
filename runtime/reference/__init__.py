"""The reference runtime: executes a plan with NumPy."""

from .session import ReferenceRuntime, ReferenceSession

__all__ = ["ReferenceRuntime", "ReferenceSession"]
