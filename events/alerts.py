"""Alerts: the conditions under which somebody should look at events. One table, for the rules of Prometheus and for
people; `airy/alerts.py` adds those of the pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Severity = Literal["critical", "warning"]
#: A text of a table that is made before the language of its reader is known.
Text = str | Promise


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One condition.

    expression: in PromQL. lasting: how long it must hold. severity: critical needs somebody now, a warning today.
    meaning: what has happened. cure: what to do.
    """

    name: str
    expression: str
    lasting: str
    severity: Severity
    meaning: Text
    cure: Text


ALERTS: tuple[Alert, ...] = (
    Alert(
        name="AiryDatabaseDown",
        expression="airy_database_up == 0",
        lasting="1m",
        severity="critical",
        meaning=_("The database does not answer."),
        cure=_("Look at the server and its disk. Deliveries are held and go on by themselves once it is back."),
    ),
    Alert(
        name="AiryBrokerDown",
        expression="airy_broker_up == 0",
        lasting="2m",
        severity="critical",
        meaning=_("A relay or worker does not reach the broker, or none is alive. Events wait in the outbox."),
        cure=_("Look at the broker and its disk, then at MQ_HOST, user and vhost in the log of the worker."),
    ),
    Alert(
        name="AiryNoRelay",
        expression="airy_relay_active == 0",
        lasting="1m",
        severity="critical",
        meaning=_("No relay is active. Events are stored, but not delivered."),
        cure=_("Start manage.py rundramatiq, or look into its log why the relay cannot begin."),
    ),
    Alert(
        name="AiryNoWorker",
        expression='airy_processes{kind="worker"} == 0',
        lasting="2m",
        severity="critical",
        meaning=_("No worker is alive. Events wait in their queues."),
        cure=_("Start manage.py rundramatiq, or look into its log why the workers end."),
    ),
    Alert(
        name="AiryOutboxStuck",
        expression="airy_outbox_oldest_age_seconds > 60",
        lasting="2m",
        severity="critical",
        meaning=_("An event has waited in the outbox for over a minute."),
        cure=_("Look at relay and broker; a queue that refuses messages is named in the relay's log."),
    ),
    Alert(
        name="AirySubscriberBehind",
        expression="airy_backlog_oldest_age_seconds > 300",
        lasting="5m",
        severity="warning",
        meaning=_("A subscriber has not dealt with an event for over five minutes."),
        cure=_("See whether it fails, is slow or is paused; start more workers if all their threads are busy."),
    ),
    Alert(
        name="AiryDeadLetters",
        expression='sum by (subscriber) (increase(airy_deliveries_total{outcome="dead"}[10m])) > 0',
        lasting="0m",
        severity="warning",
        meaning=_("A subscriber gave up an event: there is a new dead letter."),
        cure=_("Read its reason with manage.py dead_letters, mend the cause, then requeue or discard it."),
    ),
    Alert(
        name="AiryManyRetries",
        expression=(
            'sum by (subscriber) (rate(airy_deliveries_total{outcome="retry"}[5m]))'
            ' > 0.1 * sum by (subscriber) (rate(airy_deliveries_total{outcome=~"done|retry"}[5m]))'
        ),
        lasting="10m",
        severity="warning",
        meaning=_("More than a tenth of a subscriber's deliveries fail and are tried again."),
        cure=_("Read the errors of its failed attempts in the admin."),
    ),
    Alert(
        name="AirySlowDeliveries",
        expression=(
            "histogram_quantile(0.95, sum by (subscriber, le) (rate(airy_delivery_latency_seconds_bucket[5m]))) > 30"
        ),
        lasting="10m",
        severity="warning",
        meaning=_("A twentieth of a subscriber's effects come more than 30 s after their event."),
        cure=_("Compare backlog, busy threads and the database's load; start more workers or make it faster."),
    ),
    Alert(
        name="AiryBrokerRefuses",
        expression='sum by (answer) (increase(airy_relay_answers_total{answer!="confirmed"}[5m])) > 0',
        lasting="5m",
        severity="warning",
        meaning=_("The broker keeps answering that it does not take some messages. They stay in the outbox."),
        cure=_("Look into the relay's log: a queue is full, is missing, or may not be written to."),
    ),
    Alert(
        name="AiryRelayReconnects",
        expression="increase(airy_relay_reconnects_total[10m]) > 5",
        lasting="5m",
        severity="warning",
        meaning=_("The relay loses its connections again and again."),
        cure=_("Look into the relay's log whether it is the database or the broker, then at the network between."),
    ),
    Alert(
        name="AiryHealed",
        expression="sum by (subscriber) (increase(airy_reconcile_healed_total[30m])) > 0",
        lasting="0m",
        severity="warning",
        meaning=_("Deliveries were missing or very late, and were owed again. Nothing is lost."),
        cure=_("See whether the broker lost its disk or a queue was deleted; else a subscriber is far behind."),
    ),
    Alert(
        name="AiryWorkersBusy",
        expression="airy_worker_threads_busy > 0.9 * airy_worker_threads",
        lasting="15m",
        severity="warning",
        meaning=_("Nearly all worker threads have been busy for a quarter of an hour."),
        cure=_("See in the admin what they run; start more workers."),
    ),
    Alert(
        name="AiryPoolFull",
        expression="increase(airy_pool_rejected_total[5m]) > 0",
        lasting="5m",
        severity="warning",
        meaning=_("Task pools are full and refuse tasks."),
        cure=_("Raise GOROUTINE_POOL_SIZE, or find what holds the slots in the admin's list of processes."),
    ),
)
