"""Circles: making one."""

import re
from urllib.parse import unquote

import pytest

from tests.support.browsers import window

pytestmark = pytest.mark.django_db


def test_a_circle_with_a_long_chinese_name_is_made_and_led_to():
    alice, name = window(), "很" * 50
    (key,) = re.findall(r'name="key" value="(.+?)"', alice.read("/circles/new"))
    for _ in range(2):
        answer = alice.post("/circles/new", {"name": name, "key": key})
        assert unquote(answer.headers["Location"]) == f"/circles/{name}"
        alice.read(answer.headers["Location"])
