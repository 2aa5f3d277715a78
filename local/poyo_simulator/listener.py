"""A receiver of callbacks: ``python -m local.poyo_simulator.listener [PORT]`` prints each callback."""

import json
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue


@dataclass(frozen=True)
class ReceivedCallback:
    """One callback as it was received."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        parsed: dict[str, object] = json.loads(self.body)
        return parsed


class Listener(ThreadingHTTPServer):
    """Puts every callback into ``received``; responds with the next of ``statuses``, then with 200."""

    daemon_threads = True

    def __init__(self, port: int = 0, statuses: tuple[int, ...] = ()) -> None:
        super().__init__(("127.0.0.1", port), _RequestHandler)
        self.received: SimpleQueue[ReceivedCallback] = SimpleQueue()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._statuses = iter(statuses)
        self._lock = threading.Lock()

    def receive(self, callback: ReceivedCallback) -> int:
        """Store a callback and return the status of its response."""
        with self._lock:
            self.received.put(callback)
            return next(self._statuses, 200)


class _RequestHandler(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        callback = ReceivedCallback(self.path, dict(self.headers), body)
        self.send_response(self.server.receive(callback))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Log nothing: ``received`` holds every request."""


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8791
    try:
        listener = Listener(port)
    except OSError as error:
        sys.exit(f"port {port} cannot be used: {error.strerror}")
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    print(f"listening for callbacks on {listener.url}", flush=True)
    try:
        while True:
            callback = listener.received.get()
            signed = "signed" if "X-Webhook-Signature" in callback.headers else "unsigned"
            body = callback.body.decode(errors="replace")
            print(f"{callback.path} {signed} {body}", flush=True)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
