"""Alerts: all conditions under which somebody should look, and the rule file of Prometheus that they make."""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.utils.translation import gettext_lazy as _

from events.alerts import ALERTS as OF_EVENTS
from events.alerts import Alert

ALERTS: tuple[Alert, ...] = (
    *OF_EVENTS,
    Alert(
        name="AiryDown",
        expression="absent(airy_build_info)",
        lasting="2m",
        severity="critical",
        meaning=_("No server answers Prometheus."),
        cure=_("Start the web processes; see whether METRICS_TOKEN and the scrape's address fit."),
    ),
    Alert(
        name="AiryServerErrors",
        expression=(
            'sum(rate(airy_http_requests_total{status="5xx",route!="/readyz"}[5m]))'
            " > 0.01 * sum(rate(airy_http_requests_total[5m]))"
        ),
        lasting="5m",
        severity="critical",
        meaning=_("More than one request in a hundred fails."),
        cure=_("Read the tracebacks in the log of the web processes."),
    ),
    Alert(
        name="AirySlowPages",
        expression=(
            'histogram_quantile(0.95, sum by (le) (rate(airy_http_request_seconds_bucket{method="read"}[5m]))) > 1'
        ),
        lasting="10m",
        severity="warning",
        meaning=_("A twentieth of the pages take more than a second."),
        cure=_("Look for the slowest routes on the board, then at the database's load and sessions."),
    ),
    Alert(
        name="AiryDatabasePoolFull",
        expression="airy_database_pool_waiting > 0",
        lasting="2m",
        severity="warning",
        meaning=_("Threads keep waiting for a session with the database."),
        cure=_("Raise DATABASE_POOL_SIZE if the database allows more sessions, or find what holds them."),
    ),
    Alert(
        name="AiryRedisDown",
        expression="airy_redis_up == 0",
        lasting="2m",
        severity="warning",
        meaning=_("Redis does not answer. Limits count by process, and live notices come late."),
        cure=_("Look at Redis and its memory. All goes on by itself once it is back."),
    ),
    Alert(
        name="AiryHintsLost",
        expression="increase(airy_hints_lost_total[5m]) > 0",
        lasting="5m",
        severity="warning",
        meaning=_("Hints to open pages are lost. Their notices come with the next round."),
        cure=_("Look at Redis and the network to it."),
    ),
    Alert(
        name="AiryLivePushDeaf",
        expression="airy_hub_hears == 0",
        lasting="2m",
        severity="warning",
        meaning=_("A server does not hear what it sends to Redis. Its notices come by the rounds."),
        cure=_("Look at Redis and REDIS_URL of the web processes."),
    ),
    Alert(
        name="AiryRoundsLate",
        expression="airy_round_made_timestamp_seconds > 0 and time() - airy_round_made_timestamp_seconds > 180",
        lasting="2m",
        severity="warning",
        meaning=_("A server has not compared its websockets with the database for three minutes."),
        cure=_("Look into its log; the database is slow, or its event loop is blocked. Restart it if it stays so."),
    ),
    Alert(
        name="AiryFull",
        expression=(
            'sum by (limit) (increase(airy_requests_refused_total{limit=~"connections|sockets_per_process"}[5m])) > 0'
        ),
        lasting="5m",
        severity="warning",
        meaning=_("Connections are refused, since so many are open."),
        cure=_("Start more web processes; the log names the setting that was reached."),
    ),
    Alert(
        name="AiryVersionsDiffer",
        expression="count(airy_build_info) > 1",
        lasting="30m",
        severity="warning",
        meaning=_("Processes of two versions have run side by side for half an hour."),
        cure=_("Finish the deployment, or take it back."),
    ),
)


def rule_file(alerts: Iterable[Alert] = ALERTS) -> str:
    """The rule file in YAML, in the active language."""
    lines = ["# Written by `manage.py alerts`. Do not edit it: the table is in events/alerts.py and airy/alerts.py."]
    lines += ["groups:", "  - name: airy", "    rules:"]
    for alert in alerts:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {_quoted(alert.expression)}",
            f"        for: {alert.lasting}",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {_quoted(str(alert.meaning))}",
            f"          description: {_quoted(str(alert.cure))}",
        ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A string that YAML reads as it is: JSON is YAML."""
    return json.dumps(text, ensure_ascii=False)
