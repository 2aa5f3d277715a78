"""What the local stand-ins for services have in common: they answer with JSON and log nothing."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler
from typing import Any


class JsonHandler(BaseHTTPRequestHandler):
    """One connection of a client, kept open between requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def read(self) -> Any:
        """The JSON in the request's body."""
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, content: Any) -> None:
        """Send `content` as JSON with status 200."""
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """No log line for each request."""
