"""Benchmarks: what the README claims about speed and cost, each measured against a baseline in one run."""
