"""A package index on a loopback port, so that installing can be watched and held."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import unittest
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class PackageIndex:
    """Serves one pure package, ``harbour`` 1.0; removed at the end of the test."""

    def __init__(self, test: unittest.TestCase) -> None:
        self.downloads = 0
        self.go_on = threading.Event()
        """Cleared: a download that has begun does not end before it is set."""
        self.go_on.set()
        wheel = _wheel()
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = "harbour-1.0-py3-none-any.whl"
                if self.path == "/simple/harbour/":
                    self.answer(200, f'<a href="/{name}">{name}</a>'.encode(), "text/html")
                elif self.path == f"/{name}":
                    index.downloads += 1
                    index.go_on.wait()
                    self.answer(200, wheel, "application/octet-stream")
                elif self.path.startswith("/broken/"):
                    self.answer(503, b"", "text/plain")
                else:
                    self.answer(404, b"", "text/plain")

            def answer(self, status: int, body: bytes, kind: str) -> None:
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # the client was killed, as a test wanted

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{server.server_port}"
        self.url = f"{self.origin}/simple"
        thread = threading.Thread(target=server.serve_forever, args=[0.02])
        thread.start()

        def stop() -> None:
            self.go_on.set()
            server.shutdown()
            thread.join()
            server.server_close()

        test.addCleanup(stop)


def _wheel() -> bytes:
    files = {
        "harbour.py": "__version__ = '1.0'\n",
        "harbour-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: harbour\nVersion: 1.0\n",
        "harbour-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{name},sha256={digest.decode()},{len(text)}\n"
    record += "harbour-1.0.dist-info/RECORD,,\n"
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in {**files, "harbour-1.0.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    return content.getvalue()
