"""Fixtures of the client tests."""

from tests.clients.scripted_service import client, service

__all__ = ["client", "service"]
