"""The fixtures of the suite: every case runs on every candidate that this run has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.conformance.candidates import CANDIDATES, Candidate
from tests.conformance.case import Case


@pytest.fixture(params=[pytest.param(one, id=one.name, marks=one.needs) for one in CANDIDATES])
def candidate(request: pytest.FixtureRequest, transactional_db: None) -> Candidate:
    """A broker under test."""
    if request.param.server:
        request.param.use(request.getfixturevalue(request.param.server))
    return request.param


@pytest.fixture
def case(
    candidate: Candidate, tmp_path: Path, eventually: Callable[..., None], request: pytest.FixtureRequest
) -> Iterator[Case]:
    """The case's broker, workers and counts; the counts go into the table of results."""
    case = Case(candidate, tmp_path, eventually=eventually)
    try:
        yield case
    finally:
        case.close()
        counts = asdict(case.counts())
        request.node.user_properties.append(("conformance", {"broker": candidate.title, "notes": case.notes, **counts}))
    assert counts["doubled"] == 0, "an effect was doubled"
