"""Alerts and the board: what they ask for exists, and they fire when they should. promtool is of Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.utils import translation

from airy.alerts import ALERTS, rule_file
from events.figures import families
from tests.environment import REQUIRED

DEPLOY = Path(settings.BASE_DIR) / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yml"
#: What is no metric in an expression: after a `{`, `by (` or `,` stand labels.
NAME = re.compile(r"\bairy_\w+")
SUFFIXES = ("_bucket", "_count", "_sum")


@pytest.fixture
def promtool() -> Any:
    """Run promtool; its test is skipped, or fails if AIRY_REQUIRE names it, where it is missing."""
    found = shutil.which("promtool")
    if not found:
        missing = "needs promtool, of the package prometheus"
        pytest.fail(missing, pytrace=False) if "promtool" in REQUIRED else pytest.skip(missing)

    def run(*arguments: object, text: str = "") -> str:
        command = [found, *map(str, arguments)]
        done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=RULES.parent)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def scrape(db: None) -> str:
    return Client().get("/metrics").content.decode()


def board_expressions() -> dict[str, str]:
    """The expressions of the board by panel."""
    board = json.loads((DEPLOY / "grafana" / "airy.json").read_text())
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in board["panels"]
        for target in panel.get("targets", ())
    }


def test_the_rule_file_is_the_one_that_the_table_writes() -> None:
    written = StringIO()
    call_command("alerts", stdout=written)
    assert RULES.read_text() == written.getvalue(), "run manage.py alerts > deploy/prometheus/alerts.yml"


def test_each_alert_says_in_both_languages_what_it_means_and_what_to_do() -> None:
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)
    for alert in ALERTS:
        for text in (alert.meaning, alert.cure):
            english = str(text)
            with translation.override("zh-hans"):
                assert str(text) != english, english
    with translation.override("zh-hans"):
        assert "Airy" in rule_file()


@pytest.mark.home
def test_every_metric_of_the_alerts_and_the_board_is_in_a_scrape(scrape: str) -> None:
    there = set(re.findall(r"^# TYPE (\w+)", scrape, re.MULTILINE))
    asked = {alert.name: alert.expression for alert in ALERTS} | board_expressions()
    for name, expression in asked.items():
        names = set(NAME.findall(expression))
        assert names, name
        for one in names:
            base = next((one.removesuffix(suffix) for suffix in SUFFIXES if one.endswith(suffix)), one)
            assert {one, base} & there, f"{name}: {one}"


@pytest.mark.home
def test_a_zero_is_shown_for_everything_that_is_known(scrape: str) -> None:
    for family in families.values():
        assert f"# HELP {family.name} " in scrape
        assert family.known(), family.name
    for line in (
        'airy_deliveries_total{outcome="dead",subscriber="feeds.index_post"} 0.0',
        'airy_processes{kind="relay"} 0.0',
        'airy_backlog_events{subscriber="feeds.index_post"} 0.0',
        'airy_requests_refused_total{limit="connections"} 0.0',
    ):
        assert line in scrape


@pytest.mark.home
def test_promtool_finds_no_fault_with_the_metrics(promtool: Any, scrape: str) -> None:
    promtool("check", "metrics", text=scrape)


@pytest.mark.home
def test_promtool_finds_no_fault_with_alerts_and_board_and_they_fire_on_recorded_series(
    promtool: Any, tmp_path: Path
) -> None:
    promtool("check", "rules", RULES)
    promtool("test", "rules", RULES.with_name("alerts_test.yml"))
    rules = [
        {"record": f"board:{number}", "expr": expression}
        for number, expression in enumerate(board_expressions().values())
    ]
    of_board = tmp_path / "board.yml"
    of_board.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", of_board)


def table_of(scrape: str) -> list[str]:
    """The rows of the table in docs/operations.md: one for each metric, with its labels."""
    rows = []
    for name, meaning in re.findall(r"^# HELP (\w+) (.+)$", scrape, re.MULTILINE):
        kind = re.findall(rf"^# TYPE {name} (\w+)$", scrape, re.MULTILINE)[0]
        sample = re.search(rf"^{name}(?:_bucket)?{{(.+)}} ", scrape, re.MULTILINE)
        labels = re.findall(r"(\w+)=", sample[1]) if sample else []
        shown = " ".join(f"`{label}`" for label in labels if label != "le")
        rows.append(f"| `{name}` | {kind} | {shown} | {meaning} |".replace("|  |", "| |"))
    return sorted(rows)


@pytest.mark.home
def test_the_table_of_metrics_in_the_docs_is_that_of_a_scrape(scrape: str) -> None:
    docs = (Path(settings.BASE_DIR) / "docs" / "operations.md").read_text()
    section = docs.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    told = [line for line in section.splitlines() if line.startswith("| `airy_")]
    expected = table_of(scrape)
    assert told == expected, "\n".join(expected)
