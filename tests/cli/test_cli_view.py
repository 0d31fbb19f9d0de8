"""rdae view: what its server hands out, and above all what it does not; the browser's side is tested in web/."""

import contextlib
import hashlib
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urljoin, urlsplit

import pytest
from rdae_command import rdae_command

from rdae.errors import RdaeError, WeightsError
from rdae.networks import slices
from rdae.viewing import files as viewing_files
from rdae.viewing import server as viewing_server
from rdae.viewing.files import ShownFile, read_shown, viewer_folder
from rdae.viewing.server import ViewerServer

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "v1.0"
PHOTO = GOLDEN / "photo.rdae"
PICTURE = ROOT / "data" / "example.png"


@pytest.fixture
def viewer(tmp_path: Path) -> Path:
    """A folder that looks as if the viewer had been built."""
    folder = tmp_path / "dist"
    (folder / "viewer").mkdir(parents=True)
    (folder / "viewer" / "index.html").write_text("<!doctype html><title>viewer</title>", encoding="utf-8")
    (folder / "rdae-worker.js").write_text("// worker", encoding="utf-8")
    (folder / "run.wasm").write_bytes(b"\0asm")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    return folder


@contextlib.contextmanager
def served(files: list[ShownFile], viewer: Path) -> Iterator[ViewerServer]:
    """A server that answers."""
    with ViewerServer(files, viewer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def photo(monkeypatch: pytest.MonkeyPatch) -> ShownFile:
    """An .rdae file whose model is installed."""
    monkeypatch.setenv("RDAE_MODEL_PATH", str(GOLDEN))
    return read_shown(str(PHOTO))


@pytest.fixture
def server(photo: ShownFile, viewer: Path) -> Iterator[ViewerServer]:
    with served([photo, read_shown(str(PICTURE))], viewer) as running:
        yield running


def asked(
    server: ViewerServer, target: str, method: str = "GET", host: str | None = None
) -> tuple[int, bytes, http.client.HTTPMessage]:
    """What it answers to a request line with exactly this target: no client is between that would tidy it up."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.putrequest(method, target, skip_host=True)
    if host != "":
        connection.putheader("Host", host or f"127.0.0.1:{server.server_port}")
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body, response.headers


def fetched(url: str) -> tuple[bytes, str]:
    """Body and media type of what is at an address of the server."""
    with urllib.request.urlopen(url) as response:  # noqa: S310 - our own server's
        return response.read(), response.headers["Content-Type"]


def test_the_address_leads_to_the_viewer_and_names_the_files(server: ViewerServer, viewer: Path) -> None:
    page = (viewer / "viewer" / "index.html").read_bytes()
    assert fetched(server.url) == (page, "text/html; charset=utf-8")
    named = parse_qs(urlsplit(server.url).query)["file"]
    assert [Path(name).name for name in named] == ["photo.rdae", "example.png"]
    for name, path, kind in zip(named, (PHOTO, PICTURE), ("image/x-rdae", "image/png"), strict=True):
        assert fetched(urljoin(server.url, name)) == (path.read_bytes(), kind)


def test_every_answer_has_the_headers_that_threads_and_safety_need(server: ViewerServer) -> None:
    for target in (urlsplit(server.url).path, f"/{server.token}/files/0", "/", f"/{server.token}/nothing"):
        _, _, headers = asked(server, target)
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "Python" not in headers["Server"]


def test_the_policy_is_that_of_the_page_itself() -> None:
    page = (ROOT / "web" / "viewer" / "index.html").read_text(encoding="utf-8")
    found = re.search(r'content="(default-src[^"]*)"', page)
    assert found
    assert (
        f"{found[1]}; frame-ancestors 'none'" == viewing_server.POLICY
    )  # a page cannot say the last of itself


def test_the_model_that_a_file_needs_is_served_and_no_other(server: ViewerServer, photo: ShownFile) -> None:
    assert photo.weights is not None
    assert hashlib.sha256(photo.weights.read_bytes()).hexdigest()[:8] == photo.model
    status, body, _ = asked(server, f"/{server.token}/models/{photo.model}{slices.SUFFIX}")
    assert (status, body) == (200, slices.slice_of(photo.weights))
    other = "00000000" if photo.model != "00000000" else "11111111"
    assert asked(server, f"/{server.token}/models/{other}{slices.SUFFIX}")[0] == 404


def test_a_model_that_cannot_be_read_is_an_answer_too(
    photo: ShownFile, viewer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(weights: Path) -> bytes:
        raise WeightsError(f"{weights.name}: damaged")

    monkeypatch.setattr(slices, "slice_of", fail)
    with served([photo], viewer) as server:
        status, body, _ = asked(server, f"/{server.token}/models/{photo.model}{slices.SUFFIX}")
    assert status == 500
    assert b"damaged" in body


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/viewer/index.html",
        "/{token}",
        "/{token}x/viewer/index.html",
        "/{half}/viewer/index.html",
        "http://127.0.0.1/{token}/viewer/index.html",
        "*",
    ],
)
def test_without_the_token_there_is_nothing(server: ViewerServer, target: str) -> None:
    status, body, _ = asked(server, target.format(token=server.token, half=server.token[:-1]))
    assert status == 404
    assert server.token.encode() not in body


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "viewer/../../secret.txt",
        "viewer/%2e%2e/%2e%2e/secret.txt",
        "..%2fsecret.txt",
        "files/../../secret.txt",
        "files/0/../../../secret.txt",
        "files/2",
        "files/-1",
        "files/999999",
        "files/٠",
        "link.txt",
        "viewer/",
        "viewer",
        "",
        "files/",
        "models/",
        "/etc/passwd",
        "viewer/index.html%00",
        "viewer\\..\\..\\secret.txt",
    ],
)
def test_nothing_but_what_is_on_the_list_can_be_reached(server: ViewerServer, path: str) -> None:
    target = quote(path, safe="%/\\")
    status, body, _ = asked(server, f"/{server.token}/{target}")
    assert status == 404
    assert b"secret" not in body


def test_other_hosts_are_refused(server: ViewerServer) -> None:
    path = urlsplit(server.url).path
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1", "127.0.0.1:1", ""):
        status, body, _ = asked(server, path, host=host)
        assert status == 403, host
        assert b"viewer" not in body
    assert asked(server, path, host=f"localhost:{server.server_port}")[0] == 200


def test_only_reading_is_understood(server: ViewerServer) -> None:
    path = urlsplit(server.url).path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW"):
        assert asked(server, path, method)[0] == 405, method
    status, body, headers = asked(server, path, "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0


def test_the_server_listens_on_this_machine_alone(server: ViewerServer) -> None:
    assert server.socket.getsockname()[0] == "127.0.0.1"
    assert urlsplit(server.url).hostname == "127.0.0.1"
    assert len(server.token) >= 20


def test_two_servers_have_two_tokens(photo: ShownFile, viewer: Path) -> None:
    with ViewerServer([photo], viewer) as one, ViewerServer([photo], viewer) as other:
        assert one.token != other.token


@pytest.mark.parametrize("name", ["a & b?c#d.rdae", "50%.rdae", "<b>.rdae", "ü\udc80.rdae", "..rdae"])
def test_any_name_survives_the_address(photo: ShownFile, viewer: Path, name: str) -> None:
    with served([ShownFile(name, photo.media_type, photo.data)], viewer) as server:
        (address,) = parse_qs(urlsplit(server.url).query)["file"]
        assert unquote(address.rpartition("/")[2], errors="surrogateescape") == name
        assert fetched(urljoin(server.url, address))[0] == photo.data


def test_more_files_than_an_address_can_name_are_refused(photo: ShownFile, viewer: Path) -> None:
    with pytest.raises(RdaeError, match="5000 files are too many"):
        ViewerServer([photo] * 5000, viewer)


@contextlib.contextmanager
def command(viewer: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a process of its own, with a viewer that is said to be built."""
    code = (
        "import pathlib, sys\n"
        "from rdae.viewing import files\n"
        "viewer = pathlib.Path(sys.argv.pop(1))\n"
        "files.viewer_folder = lambda: viewer\n"
        "from rdae.cli.main import main\n"
        "main(prog_name='rdae')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(viewer), "view", *arguments],
        env={**os.environ, "RDAE_MODEL_PATH": str(GOLDEN)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background may have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_prints_the_address_and_serves_until_it_is_stopped(
    viewer: Path, number: signal.Signals, status: int
) -> None:
    with command(viewer, "--no-open", str(PHOTO), str(PICTURE)) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        (first, _) = parse_qs(urlsplit(url).query)["file"]
        assert fetched(urljoin(url, first))[0] == PHOTO.read_bytes()
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.strip()) == (status, "", "")
    with pytest.raises(urllib.error.URLError):
        fetched(url)


def test_the_browser_is_opened_at_the_address(
    viewer: Path, monkeypatch: pytest.MonkeyPatch, photo: ShownFile
) -> None:
    opened = threading.Event()
    urls: list[str] = []

    def open_url(url: str) -> bool:
        urls.append(url)
        opened.set()
        return True

    def serve(server: ViewerServer) -> None:
        assert opened.wait(30)
        assert urls == [server.url]

    monkeypatch.setattr(viewing_files, "viewer_folder", lambda: viewer)
    monkeypatch.setattr(ViewerServer, "serve_forever", serve)
    monkeypatch.setattr("webbrowser.open", open_url)
    done = rdae_command("view", str(PHOTO))
    assert (done.exit_code, done.stdout.strip(), done.stderr) == (0, urls[0], "")
    assert photo.name in urls[0]


def test_bad_files_are_a_line_each_and_nothing_is_served(
    viewer: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, photo: ShownFile
) -> None:
    monkeypatch.setattr(viewing_files, "viewer_folder", lambda: viewer)
    monkeypatch.setattr(ViewerServer, "serve_forever", lambda _server: pytest.fail("it was served"))
    damaged = tmp_path / "damaged.rdae"
    damaged.write_bytes(photo.data[:-1] + bytes([photo.data[-1] ^ 1]))
    (tmp_path / "short.rdae").write_bytes(b"RD")
    (tmp_path / "empty.rdae").write_bytes(b"")
    (tmp_path / "words.txt").write_text("words", encoding="utf-8")
    bad = [tmp_path / name for name in ("damaged.rdae", "short.rdae", "empty.rdae", "words.txt", "gone.rdae")]
    done = rdae_command("view", "--no-open", str(PHOTO), *map(str, bad))
    assert (done.exit_code, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert len(lines) == len(bad)
    for line, path in zip(lines, bad, strict=True):
        assert line.startswith(f"rdae: {path}: ")


def test_a_model_that_is_missing_is_said_before_anything_is_served(
    viewer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing_files, "viewer_folder", lambda: viewer)
    monkeypatch.delenv("RDAE_MODEL_PATH", raising=False)
    done = rdae_command("view", "--no-open", str(PHOTO))
    assert done.exit_code == 1
    assert re.fullmatch(rf"rdae: {re.escape(str(PHOTO))}: needs model [0-9a-f]{{8}}.*\n", done.stderr)


def test_model_names_the_weights_of_a_file_whose_model_is_not_installed(
    viewer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewing_files, "viewer_folder", lambda: viewer)
    monkeypatch.delenv("RDAE_MODEL_PATH", raising=False)
    monkeypatch.setattr(ViewerServer, "serve_forever", lambda _server: None)
    done = rdae_command("view", "--no-open", "--model", str(GOLDEN / "mini.safetensors"), str(PHOTO))
    assert (done.exit_code, done.stderr) == (0, "")
    wrong = rdae_command("view", "--no-open", "--model", str(GOLDEN / "calm.safetensors"), str(PHOTO))
    assert wrong.exit_code == 1
    assert re.fullmatch(r"rdae: .*: needs model [0-9a-f]{8}, but calm is [0-9a-f]{8}\n", wrong.stderr)


def test_a_viewer_that_is_not_built_is_one_line_that_says_how(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "rdae"
    package.mkdir()
    monkeypatch.setattr("rdae.__file__", str(package / "__init__.py"))
    done = rdae_command("view", "--no-open", str(PHOTO))
    assert (done.exit_code, done.stdout) == (1, "")
    assert re.fullmatch(r"rdae: .*npm run build.*\n", done.stderr)


@pytest.mark.parametrize("place", ["rdae/web_data", "web/dist"])
def test_the_viewer_is_found_in_the_package_and_in_a_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    (tmp_path / place / "viewer").mkdir(parents=True)
    (tmp_path / place / "viewer" / "index.html").touch()
    monkeypatch.setattr("rdae.__file__", str(tmp_path / "rdae" / "__init__.py"))
    assert viewer_folder() == tmp_path / place


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"BM", "image/bmp"),
        (b"RIFF\0\0\0\0WEBPVP8L", "image/webp"),
        (b"\0\0\0\x20ftypavif", "image/avif"),
    ],
)
def test_pictures_are_known_by_how_they_begin(tmp_path: Path, start: bytes, kind: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(start + bytes(20))
    found = read_shown(str(path))
    assert (found.media_type, found.data, found.model) == (kind, start + bytes(20), "")


@pytest.mark.parametrize(
    "data", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"RIFF\0\0\0\0WAVE", b"<!doctype html>"]
)
def test_what_could_run_a_script_or_is_no_picture_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(RdaeError, match="neither"):
        read_shown(str(path))
