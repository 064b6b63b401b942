"""The gate: what it refuses before the application is asked."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from pytest_django import Settings

from airy.gate import answers, body
from airy.gate.gate import Gate
from airy.gate.refused import refused
from feeds.limits import full
from feeds.limits.limit import REFUSED
from tests.support.limits import Limited
from tests.support.logs import captured_logs


async def reads(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads the body like Django, and answers with its length and the client's address."""
    length, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{length} {scope['client'][0]}".encode()})


def asked(gate: Gate, path: str = "/", *, client: str = "192.0.2.1", **headers: str) -> ApplicationCommunicator:
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "client": (client, 4711),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    return ApplicationCommunicator(gate, scope)


async def answer(request: ApplicationCommunicator) -> tuple[int, dict[str, str], str]:
    """Status, headers and text of the answer."""
    start = await request.receive_output(5)
    text, more = b"", True
    while more:
        part = await request.receive_output(5)
        text += part["body"]
        more = part.get("more_body", False)
    headers = {name.decode(): value.decode() for name, value in start.get("headers", [])}
    return start["status"], headers, text.decode()


async def send(request: ApplicationCommunicator, *parts: bytes, end: bool = True) -> None:
    for number, part in enumerate(parts, 1):
        more = not (end and number == len(parts))
        await request.send_input({"type": "http.request", "body": part, "more_body": more})


async def status(gate: Gate, path: str = "/", **how: Any) -> int:
    request = asked(gate, path, **how)
    await send(request, b"")
    return (await answer(request))[0]


def test_a_body_up_to_the_limit_goes_through(settings: Settings) -> None:
    settings.BODY_BYTES = 10

    async def run() -> None:
        request = asked(Gate(reads), content_length="10")
        await send(request, b"12345", b"67890")
        status, _, text = await answer(request)
        assert (status, text) == (200, "10 192.0.2.1")

    asyncio.run(run())


@pytest.mark.parametrize("headers", [{"content_length": "11"}, {}])
def test_a_body_over_the_limit_is_refused_whether_announced_or_not(settings: Settings, headers: dict) -> None:
    settings.BODY_BYTES = 10

    async def run() -> None:
        request = asked(Gate(reads), "/api/posts", **headers)
        await send(request, b"12345", b"678901", b"x" * 100)
        code, told, text = await answer(request)
        assert code == 413
        assert told["connection"] == "close"
        assert "too large" in json.loads(text)["detail"]

    asyncio.run(run())


def test_an_announced_giant_is_refused_before_a_byte_of_it_is_read() -> None:
    async def run() -> None:
        request = asked(Gate(reads), content_length="99999999999999999999")
        assert (await request.receive_output(5))["status"] == 413

    asyncio.run(run())


def test_after_a_refusal_no_more_than_a_bounded_rest_is_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "LINGER_BYTES", 1000)

    async def run() -> None:
        request = asked(Gate(reads), content_length="99999999")
        await send(request, *[b"x" * 500] * 100, end=False)
        assert (await answer(request))[0] == 413
        assert request.input_queue.qsize() >= 97

    asyncio.run(run())


def test_half_a_body_is_ended_by_its_deadline(settings: Settings) -> None:
    settings.BODY_SECONDS = 0.2

    async def run() -> None:
        request = asked(Gate(reads))
        await send(request, b"12345", end=False)
        code, told, text = await answer(request)
        assert (code, told["connection"]) == (408, "close")
        assert "too long to arrive" in text

    asyncio.run(run())


def test_a_slow_answer_is_not_a_slow_body(settings: Settings) -> None:
    settings.BODY_SECONDS = 0.1

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        gone = asyncio.ensure_future(receive())
        await asyncio.sleep(0.3)
        assert not gone.done()
        gone.cancel()
        await reads(scope, lambda: asyncio.sleep(0, {"type": "http.request"}), send)

    async def run() -> None:
        assert await status(Gate(slow)) == 200

    asyncio.run(run())


@pytest.mark.parametrize("path", ["/", "/static/airy.css", "/admin/login/", "/metrics", "/readyz", "/api/posts", "/x"])
def test_an_address_may_ask_so_often_wherever(limited: Limited, path: str) -> None:
    limited(ADDRESS="3/3600")

    async def run() -> None:
        gate = Gate(reads)
        assert [await status(gate, path) for _ in range(5)] == [200, 200, 200, 429, 429]
        assert await status(gate, path, client="192.0.2.2") == 200
        assert await status(gate, path, client="::ffff:192.0.2.1") == 429

    asyncio.run(run())


def test_a_refused_client_reads_when_to_come_back_in_its_language(limited: Limited) -> None:
    limited(ADDRESS="1/3600")

    async def run() -> None:
        gate = Gate(reads)
        await status(gate)
        for path, language, word in (("/", "zh-CN", "请求"), ("/", "en", "Too many"), ("/api/x", "zh-hans", "请求")):
            code, told, text = await answer(asked(gate, path, accept_language=language))
            assert code == 429
            assert 1 <= int(told["retry-after"]) <= 3600
            assert word in (json.loads(text)["detail"] if path == "/api/x" else text)

    asyncio.run(run())


def test_who_was_refused_a_visit_is_refused_at_once_unless_it_may_be_an_account(limited: Limited) -> None:
    limited()
    refused.add("192.0.2.1", seconds=60)

    async def run() -> None:
        gate = Gate(reads)
        assert await status(gate) == 429
        assert await status(gate, cookie="csrftoken=x") == 429
        assert await status(gate, cookie="csrftoken=x; sessionid=y") == 200
        assert await status(gate, authorization="Bearer x") == 200
        assert await status(gate, client="192.0.2.2") == 200

    asyncio.run(run())


def test_a_load_balancer_is_never_refused(limited: Limited) -> None:
    limited(ADDRESS="1/3600")

    async def run() -> None:
        gate = Gate(reads)
        assert {await status(gate, "/healthz") for _ in range(9)} == {200}

    asyncio.run(run())


def test_a_network_of_ipv6_is_one_address(limited: Limited) -> None:
    limited(ADDRESS="3/3600")

    async def run() -> None:
        gate = Gate(reads)
        assert [await status(gate, client=f"2001:db8::{number}") for number in range(5)].count(200) == 3
        assert await status(gate, client="2001:db8:0:1::1") == 200

    asyncio.run(run())


def test_an_address_has_so_many_requests_under_way(limited: Limited, settings: Settings) -> None:
    limited()
    settings.REQUESTS_AT_ONCE_PER_ADDRESS, settings.REQUESTS_WAITING_PER_ADDRESS = 2, 1

    async def run() -> None:
        gate = Gate(reads)
        held = [asked(gate) for _ in range(2)]
        for request in held:
            await send(request, b"1", end=False)
            await asyncio.sleep(0)
        waiting = asked(gate)
        await send(waiting, b"")
        assert await waiting.receive_nothing(0.1)
        assert await status(gate) == 429
        assert await status(gate, client="192.0.2.2") == 200
        await send(held[0], b"2")
        assert (await answer(held[0]))[0] == (await answer(waiting))[0] == 200
        assert await status(gate) == 200
        held[1].future.cancel()

    asyncio.run(run())


def socket(gate: Gate, *, client: str = "192.0.2.1", extended: bool = True) -> ApplicationCommunicator:
    scope = {"type": "websocket", "path": "/ws/notifications/", "client": (client, 4711), "headers": []}
    return ApplicationCommunicator(gate, scope | ({"extensions": {"websocket.http.response": {}}} if extended else {}))


async def holds(scope: Any, receive: Any, send: Any) -> None:
    """An application that keeps its socket until the client goes."""
    await receive()
    await send({"type": "websocket.accept"})
    await receive()


async def opened(gate: Gate, **how: Any) -> tuple[ApplicationCommunicator, dict]:
    tab = socket(gate, **how)
    await tab.send_input({"type": "websocket.connect"})
    return tab, await tab.receive_output(5)


def test_an_address_with_too_many_sockets_is_named_in_the_log_once_by_its_setting(
    limited: Limited, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited()
    settings.SOCKETS_PER_ADDRESS = 1
    monkeypatch.setattr(full, "_warned_at", {})
    before = REFUSED.labels(limit="sockets").value

    async def run() -> list[dict]:
        gate = Gate(holds)
        tabs = [await opened(gate) for _ in range(3)]
        tabs[0][0].future.cancel()
        return [said for _tab, said in tabs]

    with captured_logs("feeds.limits") as lines:
        assert [said.get("status") for said in asyncio.run(run())] == [None, 429, 429]
    assert REFUSED.labels(limit="sockets").value == before + 2
    assert [(line["setting"], line["most"]) for line in lines] == [("SOCKETS_PER_ADDRESS", 1)]


def test_an_address_opens_so_many_sockets_at_once(limited: Limited, settings: Settings) -> None:
    limited()
    settings.SOCKETS_PER_ADDRESS = 2

    async def run() -> None:
        gate = Gate(holds)
        tabs = [await opened(gate) for _ in range(3)]
        assert [said["type"] for _tab, said in tabs] == [*["websocket.accept"] * 2, "websocket.http.response.start"]
        assert tabs[2][1]["status"] == 429
        assert (await opened(gate, extended=False))[1]["type"] == "websocket.close"
        others = await opened(gate, client="192.0.2.2")
        assert others[1]["type"] == "websocket.accept"
        await tabs[0][0].send_input({"type": "websocket.disconnect", "code": 1001})
        await tabs[0][0].wait(5)
        again = await opened(gate)
        assert again[1]["type"] == "websocket.accept"
        for tab, _said in (tabs[1], others, again):
            tab.future.cancel()

    asyncio.run(run())


def test_handshakes_of_an_address_are_counted(limited: Limited) -> None:
    limited(HANDSHAKES="2/3600")

    async def run() -> None:
        gate = Gate(holds)
        for said in ("websocket.accept", "websocket.accept", "websocket.http.response.start"):
            tab, first = await opened(gate)
            assert first["type"] == said
            tab.future.cancel()

    asyncio.run(run())


def test_nothing_is_counted_with_the_limits_off(settings: Settings) -> None:
    settings.RATE_LIMITS, settings.LIMIT_ADDRESS, settings.LIMIT_HANDSHAKES = False, ((1, 3600),), ((1, 3600),)
    settings.REQUESTS_AT_ONCE_PER_ADDRESS = settings.SOCKETS_PER_ADDRESS = 1

    async def run() -> None:
        gate, live = Gate(reads), Gate(holds)
        assert {await status(gate) for _ in range(3)} == {200}
        tabs = [await opened(live) for _ in range(3)]
        assert {said["type"] for _tab, said in tabs} == {"websocket.accept"}
        for tab, _said in tabs:
            tab.future.cancel()

    asyncio.run(run())


def test_the_page_of_a_refusal_needs_nothing_from_elsewhere() -> None:
    kind, page = answers._content(429, {"path": "/", "headers": []})
    assert kind.startswith(b"text/html")
    assert b"<script" not in page
    assert b"href" not in page
