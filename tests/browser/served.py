"""Sites under `/some/repo/` of a server on this machine, as GitHub Pages has them."""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PREFIX = "/some/repo/"


class Handler(SimpleHTTPRequestHandler):
    """Serves one folder under the prefix, and nothing beside it."""

    def translate_path(self, path: str) -> str:
        if not path.startswith(PREFIX):
            return "/nowhere"
        return super().translate_path(path[len(PREFIX) - 1 :])

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Lets all connections wait that a browser opens at once, on a machine that is busy."""

    request_queue_size = 128


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder while it is served."""
    handler = functools.partial(Handler, directory=str(folder))
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
