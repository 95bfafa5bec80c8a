"""Other processes: Python code and Chroma servers, on loopback, ended with the test."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

# Far more than any of it takes; a test that needs this long hangs.
PATIENCE = 120


def _environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def start_python(code, *arguments):
    """Starts Python code with what this process can import."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=_environment()
    )


def run_python(code, *arguments):
    """Runs Python code to its end; returns exit status, standard output and standard error."""
    process = start_python(code, *arguments)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, out.strip(), err.strip()


def free_port():
    """Returns a port of loopback that nothing listens on."""
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class ChromaServer:
    """``chroma run`` on a folder."""

    def __init__(self, folder):
        program = Path(sys.executable).with_name("chroma")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [str(program if program.exists() else shutil.which("chroma")), "run", "--path", str(folder)]
        self.process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(self.port)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()

    def _wait(self):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            assert self.process.poll() is None, f"chroma run ended with {self.process.returncode}"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/api/v2/heartbeat", timeout=5).is_success:
                    return
            time.sleep(0.05)
        self.stop()
        raise TimeoutError("chroma run does not answer")

    def stop(self):
        """Ends the server at once."""
        self.process.kill()
        self.process.wait(PATIENCE)


@contextlib.contextmanager
def chroma_server(folder):
    """Runs a server for a while."""
    server = ChromaServer(folder)
    try:
        yield server
    finally:
        server.stop()
