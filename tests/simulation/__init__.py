"""Runs the real workflows against simulated external services; a seed determines every event."""
