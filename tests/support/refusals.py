"""refused: an action ends with a refusal that a person can read."""

from collections.abc import Callable

import pytest

from feeds.errors import RefusedError


def refused(kind: type[RefusedError], field: str | None = None, /, *, act: Callable[[], object]) -> None:
    """`act` raises this kind of refusal, for this field."""
    with pytest.raises(kind) as raised:
        act()
    assert type(raised.value) is kind
    assert raised.value.message
    assert field is None or raised.value.field == field
