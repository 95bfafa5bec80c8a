"""A Chroma server that is down, hangs, dies, is another program, or whose address is wrong."""

import contextlib
import http.server
import json
import os
import signal
import socket
import threading
import time

import pytest

from catalogs import make_steps, small_catalog
from encoders import WordEncoder
from multiretriever.core import Catalog, Index, MultiRetriever, ParameterError, StoreError
from multiretriever.core.errors import ServerUnavailableError
from multiretriever.core.index.health import verify_index
from processes import PATIENCE, chroma_server, free_port


@pytest.mark.parametrize("create", [False, True])
def test_a_server_that_is_down(create, encoder):
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ServerUnavailableError, match=f"{url}.*chroma run"):
        Index.open(url, encoder=encoder, create=create, timeout=5)


@contextlib.contextmanager
def hung_server():
    """Accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Were a client to wait for ever, it would be let go, and the test fail.
        rescue = threading.Timer(PATIENCE / 2, listener.close)
        rescue.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        rescue.cancel()


@contextlib.contextmanager
def http_server(answer):
    """Answers by a function of the handler."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.server_port}"
        finally:
            listener.shutdown()


def reply(handler, status, body):
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def test_a_server_that_hangs(encoder):
    start = time.monotonic()
    with hung_server() as url, pytest.raises(ServerUnavailableError, match="Timeout"):
        Index.open(url, encoder=encoder, timeout=0.5)
    assert time.monotonic() - start < 20


def test_a_server_that_lives_and_hangs(encoder):
    release = threading.Event()

    def answer(handler):
        if handler.path.endswith("/heartbeat"):
            reply(handler, 200, json.dumps({"nanosecond heartbeat": 1}).encode())
        else:
            release.wait(PATIENCE)

    start = time.monotonic()
    with http_server(answer) as url:
        with pytest.raises(ServerUnavailableError, match="Timeout"):
            Index.open(url, encoder=encoder, timeout=0.5)
        release.set()
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>hello</html>"), (200, b"{}"), (404, b""), (500, b"x"), (503, b"busy")]
)
def test_another_kind_of_server(encoder, status, body):
    with http_server(lambda handler: reply(handler, status, body)) as url, pytest.raises(StoreError, match=url):
        Index.open(url, encoder=encoder, timeout=5)


BAD_URLS = [
    "http://", "http://:8000", "http://[::1", "http://localhost:99999", "http://localhost:abc", "http://localhost:-1",
    "http://localhost:1/path", "http://localhost:1?x=1", "http://localhost:1#x", "ftp://localhost", "file:///tmp/x", "chroma://x",
]  # fmt: skip


@pytest.mark.parametrize("url", BAD_URLS)
def test_bad_urls(url, encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match="HOST") as caught:
        Index.open(url, encoder=encoder, create=True, timeout=1)
    assert url in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_url_with_a_password_is_refused_without_showing_it(encoder):
    with pytest.raises(ParameterError, match="password") as caught:
        Index.open("http://kim:s3cret@localhost:1", encoder=encoder)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("timeout", [0, -1, "5", None, True, float("inf"), float("nan")])
def test_bad_timeouts(timeout, encoder):
    with pytest.raises(ParameterError, match="timeout"):
        Index.open("http://127.0.0.1:1", encoder=encoder, timeout=timeout)


@pytest.mark.skipif(os.name != "posix", reason="stops with SIGSTOP")
def test_a_server_that_stops_and_dies_between_queries(tmp_path, encoder):
    with chroma_server(tmp_path) as own:
        index = Index.open(own.url, encoder=encoder, create=True, timeout=1)
        index.sync(small_catalog())
        retriever = MultiRetriever(index)
        assert retriever.retrieve("send a message", "step")
        os.kill(own.process.pid, signal.SIGSTOP)
        start = time.monotonic()
        # Were a call to wait for ever, it would be let go, and the test fail.
        rescue = threading.Timer(PATIENCE / 2, os.kill, (own.process.pid, signal.SIGCONT))
        rescue.start()
        try:
            for action in (lambda: retriever.retrieve("send", "step"), lambda: index.sync(small_catalog()), index.catalog):
                with pytest.raises(ServerUnavailableError, match="Timeout"):
                    action()
        finally:
            rescue.cancel()
            os.kill(own.process.pid, signal.SIGCONT)
        assert time.monotonic() - start < PATIENCE / 2
        assert retriever.retrieve("send a message", "step")
        own.stop()
        for action in (
            lambda: retriever.retrieve("send", "step"),
            lambda: index.sync(small_catalog()),
            lambda: verify_index(index),
        ):
            with pytest.raises(ServerUnavailableError):
                action()
        index.close()
    # What was synced is on disk.
    with chroma_server(tmp_path) as again, Index.open(again.url, encoder=encoder) as index:
        assert verify_index(index) == []


def test_a_sync_that_loses_its_server_is_repeated(tmp_path):
    class Killing(WordEncoder):
        def encode_documents(self, texts):
            if self.documents:
                running.stop()
            return super().encode_documents(texts)

    with chroma_server(tmp_path) as running:
        with Index.open(running.url, encoder=Killing(), create=True, timeout=5) as index, pytest.raises(ServerUnavailableError):
            index.sync(Catalog(make_steps(600)))
    with chroma_server(tmp_path) as again, Index.open(again.url, encoder=WordEncoder(), create=True) as index:
        report = index.sync(Catalog(make_steps(600)))
        assert report.types["step"].unchanged == 256
        assert verify_index(index) == []
