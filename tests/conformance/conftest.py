"""The fixtures of the suite: every case runs on every candidate that this run has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.conformance.candidates import CANDIDATES, Candidate
from tests.conformance.case import Rig


@pytest.fixture(params=[pytest.param(one, id=one.name, marks=one.needs) for one in CANDIDATES])
def candidate(request: pytest.FixtureRequest, transactional_db: None) -> Candidate:
    """A broker under test."""
    if request.param.features.server:
        request.getfixturevalue("vhost")
    return request.param


@pytest.fixture
def rig(
    candidate: Candidate, tmp_path: Path, eventually: Callable[..., None], request: pytest.FixtureRequest
) -> Iterator[Rig]:
    """The case's broker, workers and counts; the counts go into the table of results."""
    rig = Rig(candidate, tmp_path, eventually=eventually)
    try:
        yield rig
    finally:
        rig.close()
        counts = asdict(rig.figures())
        request.node.user_properties.append(("conformance", {"broker": candidate.title, "notes": rig.notes, **counts}))
    assert counts["doubled"] == 0, "an effect was doubled"
