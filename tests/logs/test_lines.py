"""Lines: each record of any logger is one JSON object, complete, bounded, and without secrets."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys

import pytest
import structlog
from django.conf import settings

from airy.logs.lines import LONGEST, JsonLines
from airy.logs.set_up import logging_settings
from events.logger import get_logger
from tests.environment import HOME
from tests.logs.json_log import json_log

UNCAUGHT = """
import asyncio, gc, logging, sys, threading, warnings
import django; django.setup()

class Fails:
    def __del__(self): raise ValueError("in the collector")

def fail(where): raise ValueError(where)

async def never(): ...

async def main():
    asyncio.get_running_loop().call_soon(fail, "in a callback")
    task = asyncio.create_task(asyncio.sleep(0, result=None))
    lost = asyncio.create_task(fail_later())
    await asyncio.wait([task, lost])
    del lost
    gc.collect()

async def fail_later(): fail("never retrieved")

asyncio.run(main())
thread = threading.Thread(target=fail, args=("in a thread",)); thread.start(); thread.join()
Fails()
never()
logging.getLogger("django.request").info("a request")
logging.getLogger("uvicorn.access").info("an access line")
fail("at the end")
"""


def test_what_nobody_catches_is_a_line_with_its_traceback() -> None:
    kept = {"PATH": os.environ["PATH"], "SECRET_KEY": HOME["SECRET_KEY"], "DJANGO_SETTINGS_MODULE": "airy.settings"}
    ended = subprocess.run(
        (sys.executable, "-c", UNCAUGHT), cwd=settings.BASE_DIR, env=kept, capture_output=True, text=True
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    reasons = ["in a callback", "never retrieved", "in a thread", "in the collector", "at the end"]
    for reason in reasons:
        (line,) = [line for line in lines if f"ValueError: {reason}" in line.get("exception", "")]
        assert "Traceback" in line["exception"]
        assert line["logger"] in ("asyncio", "airy.uncaught")
    assert [line["logger"] for line in lines if "was never awaited" in line["event"]] == ["py.warnings"]
    assert [line["event"] for line in lines if line["logger"].startswith(("django", "uvicorn"))] == ["a request"]


def test_every_kind_of_logger_tells_its_name_level_time_process_and_facts() -> None:
    with json_log() as lines:
        logging.getLogger("plain").warning("it is %s", "so", extra={"post_id": 7})
        get_logger("events.facts").warning("it is so", post_id=7)
        structlog.get_logger("structured").warning("it is so", post_id=7)
    assert [line["logger"] for line in lines] == ["plain", "events.facts", "structured"]
    for line in lines:
        assert (line["event"], line["level"], line["post_id"], line["pid"]) == ("it is so", "warning", 7, os.getpid())
        assert line["timestamp"].endswith("Z")
        assert line["process"]


def test_a_fact_takes_no_place_of_the_line_s_own() -> None:
    with json_log() as lines:
        structlog.get_logger("x").warning("said", level=3, name="alice", pid=1, timestamp="never")
    (line,) = lines
    assert (line["level"], line["pid"], line["name"], line["fact_level"]) == ("warning", os.getpid(), "alice", 3)


class Unprintable:
    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __str__(self) -> str:
        raise self._error

    __repr__ = __str__


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


ROUND: list = []
ROUND.append(ROUND)


VALUES = {
    "unprintable": Unprintable(RuntimeError("no")),
    "what ends the process": Unprintable(SystemExit()),
    "a circle": ROUND,
    "keys that are no texts": {("a", "tuple"): 1},
    "no number": float("nan"),
    "bytes": b"\xff",
    "half a character": "\ud800",
    "an error": UnprintableError("no"),
    "a set": {"a", "b"},
}


@pytest.mark.parametrize("what", VALUES)
def test_no_value_stops_the_work_that_logs_it(what: str) -> None:
    value = VALUES[what]
    with json_log("logs.values") as lines:
        get_logger("logs.values").warning("said", value=value)
        logging.getLogger("logs.values").warning("said %s", value)
        logging.getLogger("logs.values").warning("said %d and %s", "no number", value)
        try:
            raise UnprintableError(value)
        except UnprintableError:
            structlog.get_logger("logs.values").exception("said", value=value)
    assert len(lines) == 4
    assert "UnprintableError" in lines[3]["exception"]


@pytest.mark.parametrize("facts", [{"one": "字" * 100_000}, {f"fact_{n}": "x" * 900 for n in range(1000)}])
def test_a_line_is_bounded_and_keeps_its_head(facts: dict) -> None:
    record = logging.makeLogRecord({"name": "x", "levelname": "INFO", "msg": "said", "facts": facts})
    line = JsonLines().format(record)
    assert len(line.encode()) <= LONGEST
    assert json.loads(line)["event"] == "said"


def test_of_a_long_traceback_beginning_and_end_stay() -> None:
    try:
        try:
            raise ValueError("the cause " + "x" * 50_000)
        except ValueError as error:
            raise RuntimeError("the end") from error
    except RuntimeError as error:
        with json_log() as lines:
            logging.getLogger("x").error("failed", exc_info=error)
    (line,) = lines
    assert line["exception"].startswith("Traceback")
    assert line["exception"].rstrip().endswith("RuntimeError: the end")


SECRET = "hunter2"
TELLING = [
    f"no answer from redis://airy:{SECRET}@redis:6379/0",
    f"Authorization: Bearer {SECRET}",
    f"> Cookie: csrftoken=1; sessionid={SECRET}",
    f"GET /email/confirm?next=/&token={SECRET} HTTP/1.1",
    f"[(b'host', b'airy.example'), (b'cookie', b'sessionid={SECRET}')]",
    f"{{'password': '{SECRET}'}}",
]


@pytest.mark.parametrize("text", TELLING)
def test_a_secret_in_a_text_is_masked(text: str) -> None:
    with json_log() as lines:
        logging.getLogger("x").warning(text)
        get_logger("x").warning("said", text=text, several=[text, {"headers": text}])
        try:
            raise ValueError(text)
        except ValueError:
            logging.getLogger("x").exception("failed")
    assert len(lines) == 3
    assert SECRET not in json.dumps(lines)


def test_a_fact_that_is_a_secret_by_its_name_is_masked_and_no_other() -> None:
    secrets = dict.fromkeys(["password", "new_password", "session_key", "api_token"], SECRET)
    harmless = {"token_id": 7, "url": "https://airy.example/x", "code": "E001"}
    with json_log() as lines:
        structlog.get_logger("x").warning("said", headers={"Authorization": SECRET}, **secrets, **harmless)
    (line,) = lines
    assert SECRET not in json.dumps(line)
    assert line.items() >= harmless.items()


def test_a_person_s_console_shows_no_variables() -> None:
    formatter = logging_settings(debug=True, level="INFO")["formatters"]["lines"]
    written = formatter.pop("()")(**formatter)
    try:
        password = SECRET
        raise ValueError(len(password))
    except ValueError as error:
        record = logging.makeLogRecord({"name": "x", "levelname": "ERROR", "msg": "failed", "args": ()})
        record.exc_info = (type(error), error, error.__traceback__)
    text = written.format(record)
    assert "ValueError: 7" in text
    assert f"'{SECRET}'" not in text
