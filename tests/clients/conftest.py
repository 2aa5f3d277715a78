"""Fixtures of the client tests."""

from tests.clients.command_line import run, server
from tests.clients.scripted_service import client, service

__all__ = ["client", "run", "server", "service"]
