"""A listener for callbacks: ``python -m local.poyo_simulator.listener [PORT]`` shows each one that rings."""

import json
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue


@dataclass(frozen=True)
class Rung:
    """One callback as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        parsed: dict[str, object] = json.loads(self.body)
        return parsed


class Listener(ThreadingHTTPServer):
    """Keeps every callback in ``rung`` and answers with the next of ``answers``, then 200."""

    daemon_threads = True

    def __init__(self, port: int = 0, answers: tuple[int, ...] = ()) -> None:
        super().__init__(("127.0.0.1", port), _Door)
        self.rung: SimpleQueue[Rung] = SimpleQueue()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self._answers = iter(answers)
        self._lock = threading.Lock()

    def keep(self, rung: Rung) -> int:
        with self._lock:
            self.rung.put(rung)
            return next(self._answers, 200)


class _Door(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status = self.server.keep(Rung(self.path, dict(self.headers), body))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's name
        """Says nothing: what rang is in the queue."""


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8791
    try:
        listener = Listener(port)
    except OSError as error:
        sys.exit(f"port {port} is not to be had: {error.strerror}")
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    print(f"listening for callbacks on {listener.url}", flush=True)
    try:
        while True:
            rung = listener.rung.get()
            signed = "signed" if "X-Webhook-Signature" in rung.headers else "unsigned"
            print(f"{rung.path} {signed} {rung.body.decode(errors='replace')}", flush=True)
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
