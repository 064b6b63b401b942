"""Fuzzing: what schemathesis checks and knows besides its document. It loads this file by SCHEMATHESIS_HOOKS.

- Input that the schema allows is refused by a rule of `airy.rules` that its operation names, or because something is
  not there (404) or not the client's (403). schemathesis' own check of this would not know the rules.
- Most input that the schema allows is about rows that are there: AIRY_FUZZ_KNOWN, values by the names of parameters and
  fields, in JSON. None leaves the name out.
- Each answer is a line of the file AIRY_FUZZ_ASKED: the operation and the status.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import GenerationMode
from schemathesis.generation.meta import TestPhase

from airy.rules import rule_of

KNOWN: dict[str, list[Any]] = json.loads(os.environ.get("AIRY_FUZZ_KNOWN", "{}"))
#: So much of the input stays as it was generated, once an operation has succeeded.
LEFT_ALONE = 0.3
#: In a path these are of a row that is there, in a body of one that is to be new.
NEW_IN_BODY = {"slug", "username"}
#: What would end the run's own credentials.
NOT_SENT = {"PATCH /api/me": ["password"]}


_succeeded = set[str]()


def _is_allowed(case: Any) -> bool:
    return case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Let most input that the schema allows be about rows that are there."""
    if not _is_allowed(case):
        return
    for name in NOT_SENT.get(case.operation.label, []):
        if isinstance(case.body, dict):
            case.body.pop(name, None)
    left_alone = case.meta.phase.name is TestPhase.STATEFUL or random.random() < LEFT_ALONE
    if left_alone and case.operation.label in _succeeded:
        return
    for part in (case.path_parameters, case.query):
        for name in set(part or {}) & KNOWN.keys():
            part[name] = random.choice([value for value in KNOWN[name] if value is not None])
    if isinstance(case.body, dict):
        for name in (set(_fields(case)) & KNOWN.keys()) - NEW_IN_BODY:
            case.body.pop(name, None)
            if (value := random.choice(KNOWN[name])) is not None:
                case.body[name] = value


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Write down what was asked and what the answer was."""
    if response.status_code < 300:
        _succeeded.add(case.operation.label)
    with Path(os.environ["AIRY_FUZZ_ASKED"]).open("a") as asked:
        asked.write(f"{case.operation.label}\t{response.status_code}\n")


@schemathesis.check
def refused_by_a_rule_alone(context: Any, response: Any, case: Any) -> None:
    """A refusal of input that the schema allows names a rule of its operation."""
    if not _is_allowed(case) or response.status_code not in (400, 409, 413, 415, 422):
        return
    detail = response.json()["detail"]
    rules = set(case.operation.definition.raw["x-rules"])
    unknown = [one for one in detail.split("; ") if rule_of(response.status_code, one) not in rules]
    assert not unknown, f"refused by no rule of the operation: {response.status_code} {detail}"


def _fields(case: Any) -> list[str]:
    """The names of the fields that the operation's body may have."""
    schema = next(iter(case.operation.definition.raw["requestBody"]["content"].values()))["schema"]
    if "$ref" in schema:
        schemas = case.operation.schema.raw_schema["components"]["schemas"]
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    return list(schema.get("properties", {}))
