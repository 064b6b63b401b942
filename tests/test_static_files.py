"""Static files: hashed names that are kept for a year, compressed, and no step that could be forgotten."""

from __future__ import annotations

import asyncio
import gzip
import re
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from django.contrib.staticfiles import finders
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.management import call_command
from django.test import Client

from airy.static_files import compressed_file
from airy.static_names import content_hash, hashed_name
from feeds.export.pieces import PIECE
from tests.support.factories import UserFactory

NAMES = (
    "airy.css",
    "page.js",
    "drafts.js",
    "forms.js",
    "socket.js",
    "watch.js",
    "live.js",
    "airy.svg",
    "events/gauge.css",
    "admin/css/base.css",
    "ninja/swagger-ui-bundle.js",
)
A_YEAR = "max-age=31536000, public, immutable"


def body(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_has_a_hashed_name_that_is_kept_for_a_year_and_a_plain_one_that_is_not(name: str) -> None:
    address = staticfiles_storage.url(name)
    assert re.fullmatch(r"/static/.*\.[0-9a-f]{12}\.(css|js|svg)", address)
    hashed, plain = Client().get(address), Client().get(f"/static/{name}")
    assert hashed.headers["Cache-Control"] == A_YEAR
    assert plain.headers["Cache-Control"] == "max-age=60, public"
    assert body(hashed) == body(plain) == Path(finders.find(name)).read_bytes()


def test_a_name_with_an_earlier_hash_is_not_there() -> None:
    assert Client().get("/static/airy.000000000000.css").status_code == 404


def test_another_content_has_another_name(tmp_path: Path) -> None:
    for name, content in (("a.css", "one"), ("b.css", "two")):
        (tmp_path / name).write_text(content)
    names = [hashed_name("x/airy.css", str(tmp_path / name)) for name in ("a.css", "b.css")]
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"x/airy\.[0-9a-f]{12}\.css", name) for name in names)


@pytest.mark.parametrize("name", ["airy.css", "live.js", "ninja/swagger-ui-bundle.js"])
def test_files_are_compressed_once_for_who_understands_it(name: str) -> None:
    for address in (staticfiles_storage.url(name), f"/static/{name}"):
        plain = Client().get(address)
        small = Client().get(address, headers={"Accept-Encoding": "gzip"})
        assert small.headers["Content-Encoding"] == "gzip"
        assert small.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
        content = body(small)
        assert gzip.decompress(content) == body(plain)
        assert len(content) == int(small.headers["Content-Length"])


@pytest.mark.parametrize("headers", [{}, {"Accept-Encoding": "gzip"}, {"Range": "bytes=10-99999"}])
@pytest.mark.parametrize("debug", [True, False])
def test_a_server_of_asgi_gets_a_file_piece_by_piece(headers: dict[str, str], debug: bool, settings: Any) -> None:
    settings.WHITENOISE_AUTOREFRESH = settings.DEBUG = debug
    address = "/static/ninja/swagger-ui-bundle.js"
    plain = body(Client().get(address, headers=headers))
    answer = Client().get(address, headers=headers)

    async def pieces() -> list[bytes]:
        return [piece async for piece in answer]

    with warnings.catch_warnings(action="error"):
        sent = asyncio.run(pieces())
    assert b"".join(sent) == plain
    assert max(map(len, sent)) <= PIECE


def test_an_answer_without_a_file_has_no_content() -> None:
    first = Client().get("/static/airy.css")
    for answer in (
        Client().head("/static/airy.css"),
        Client().get("/static/airy.css", headers={"If-Modified-Since": first.headers["Last-Modified"]}),
    ):

        async def pieces(answer: Any = answer) -> list[bytes]:
            return [piece async for piece in answer]

        assert asyncio.run(pieces()) == []


def test_what_cannot_be_written_is_served_as_it_is(tmp_path: Path, settings: Any) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    settings.VAR_DIR = tmp_path / "taken"
    assert compressed_file(str(finders.find("airy.css"))) is None


def test_what_was_half_written_by_nobody_is_never_served(tmp_path: Path, settings: Any) -> None:
    settings.VAR_DIR = tmp_path
    path = str(finders.find("live.js"))
    kept = compressed_file(path)
    assert kept == tmp_path / "compressed" / f"{content_hash(path)}.gz"
    assert [one.name for one in kept.parent.iterdir()] == [kept.name]


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["/", "/login", "/nothing-here", "/admin/", "/admin/feeds/post/", "/api/docs"])
def test_every_file_that_a_page_refers_to_is_there_by_its_hashed_name(page: str) -> None:
    browser = Client()
    if page.startswith("/admin/"):
        browser.force_login(UserFactory(is_staff=True, is_superuser=True))
    html = browser.get(page).content.decode()
    found = re.findall(r'(?:href|src)="(/static/[^"]+)"', html)
    assert found
    for address in found:
        assert Client().get(address).headers["Cache-Control"] == A_YEAR, address


def test_every_file_that_a_style_sheet_refers_to_is_there() -> None:
    for name in ("admin/css/base.css", "admin/css/widgets.css", "admin/css/forms.css", "airy.css", "events/gauge.css"):
        css = Path(finders.find(name)).read_text()
        for address in re.findall(r'url\(["\']?([^)"\']+)["\']?\)', css):
            if not address.startswith("data:"):
                there = urljoin(f"/static/{name}", address)
                assert Client().get(there).status_code == 200, there


def test_collecting_for_another_server_writes_both_names(tmp_path: Path, settings: Any) -> None:
    settings.STATIC_ROOT = tmp_path
    call_command("collectstatic", "--noinput", verbosity=0)
    for name in NAMES:
        hashed = tmp_path / staticfiles_storage.url(name).removeprefix("/static/")
        assert hashed.read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.django_db
def test_under_debug_names_are_plain_so_that_a_change_shows_at_once(settings: Any) -> None:
    settings.DEBUG = True
    assert staticfiles_storage.url("airy.css") == "/static/airy.css"
