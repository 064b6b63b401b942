"""`manage.py dead_letters`: list, show, requeue and discard what was given up."""

from __future__ import annotations

import argparse
import uuid
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from ...inbox.models import Delivery
from ...repair.dead_letters import dead_letters, discard, groups, requeue
from ..describe import description, text_of
from ..terminal import Table, confirm, moment, printable, progress_bar, show, show_json

#: Each verb as it goes on and as it is done.
FORMS = {"requeue": ("Requeuing", "requeued"), "discard": ("Discarding", "discarded")}
FILTERS = ("subscriber", "topic", "event", "reason", "since", "until")


class Command(BaseCommand):
    help = (
        "Dead letters are deliveries that failed for good: no retries left, unreadable bytes, or a subscriber that "
        "no longer exists. They never expire. Start with `list`, look at one with `show`, fix the cause, then "
        "`requeue` the dead letters, or `discard` those you do not need."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|show|requeue|discard")
        listing = verbs.add_parser("list", help="list them by subscriber and reason; with --all one per line")
        _add_filters(listing)
        listing.add_argument("--all", action="store_true", help="one per line, newest first, not grouped")
        listing.add_argument("--limit", type=int, default=50, help="maximum number of lines (default: 50)")
        listing.add_argument("--json", action="store_true", help="print JSON")
        showing = verbs.add_parser("show", help="show one in full: event, attempts with their tracebacks, bytes")
        showing.add_argument("id", type=int, metavar="ID")
        showing.add_argument("--json", action="store_true", help="print JSON")
        for verb, what in (
            ("requeue", "deliver them again, with all attempts available; unreadable ones are kept"),
            ("discard", "give up on them; they stay in the inbox, marked as discarded"),
        ):
            deciding = verbs.add_parser(verb, help=what)
            deciding.add_argument("ids", nargs="*", type=int, metavar="ID", help="IDs as shown by `list --all`")
            _add_filters(deciding)
            deciding.add_argument("--everything", action="store_true", help="all dead letters, without a filter")
            deciding.add_argument("--dry-run", action="store_true", help="only print how many")
            deciding.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        match verb:
            case "list":
                self._list(options)
            case "show":
                self._show(options)
            case _:
                self._decide(verb, options)

    def _list(self, options: dict[str, Any]) -> None:
        chosen = _chosen(options)
        if options["all"]:
            rows = chosen.order_by("-pk")[: options["limit"]]
            found = [
                {
                    "id": row.pk,
                    "event_id": row.event_id,
                    "subscriber": row.subscriber,
                    "attempts": row.attempts,
                    "at": row.at,
                    "reason": row.reason,
                }
                for row in rows.defer("body")
            ]
            more = chosen.count() - len(found)
        else:
            kinds = groups(chosen)
            found = [asdict(group) for group in kinds[: options["limit"]]]
            more = len(kinds) - len(found)
        if options["json"]:
            show_json(self.stdout, found)
            return
        if not found:
            self.stdout.write(self.style.SUCCESS("No dead letters."))
            return
        table = Table(*found[0])
        for line in found:
            table.add_row(*(printable(_short(value)) for value in line.values()))
        show(self.stdout, table)
        if more:
            self.stdout.write(f"{more:,} more. Use a filter, or --limit {more + len(found)}.")

    def _show(self, options: dict[str, Any]) -> None:
        delivery = Delivery.objects.filter(pk=options["id"], state="dead").first()
        if delivery is None:
            raise CommandError(f"There is no dead letter {options['id']}. See `manage.py dead_letters list --all`.")
        if options["json"]:
            show_json(self.stdout, description(delivery))
        else:
            self.stdout.write(printable(text_of(description(delivery))))

    def _decide(self, verb: str, options: dict[str, Any]) -> None:
        given = options["ids"] or any(options[name] for name in FILTERS)
        if not given and not options["everything"]:
            raise CommandError("Choose dead letters: give IDs, a filter such as --subscriber, or --everything.")
        chosen = _chosen(options)
        if options["ids"] and (unknown := sorted(set(options["ids"]) - set(chosen.values_list("pk", flat=True)))):
            raise CommandError(
                f"Not among the selected dead letters: {', '.join(map(str, unknown))}. Nothing was changed."
            )
        count = chosen.count()
        doing, done = FORMS[verb]
        if options["dry_run"] or not count:
            self.stdout.write(f"{count:,} would be {done}.")
            return
        if count > 1:
            confirm(f"{verb.capitalize()} {count:,} dead letters?", options)
        kept = 0
        with progress_bar(doing, total=count) as advance:
            if verb == "requeue":
                count, kept = requeue(chosen, advance=advance)
            else:
                count = discard(chosen, advance=advance)
        self.stdout.write(self.style.SUCCESS(f"{count:,} {done}."))
        if kept:
            self.stdout.write(self.style.WARNING(f"{kept:,} cannot be read and were kept. Discard them."))


def _add_filters(parser: argparse.ArgumentParser) -> None:
    which = parser.add_argument_group("filters")
    which.add_argument("--subscriber", default="", help="only of this subscriber, for example feeds.index_post")
    which.add_argument("--topic", default="", help="only of this topic or pattern, such as post.published or vote.*")
    which.add_argument("--event", type=uuid.UUID, metavar="UUID", help="only of the event with this ID")
    which.add_argument("--reason", default="", metavar="TEXT", help="only with this text in the reason")
    which.add_argument(
        "--since",
        type=moment,
        metavar="TIME",
        help="only those that failed since then: 2026-11-25T10:30, or 2h for two hours ago",
    )
    which.add_argument("--until", type=moment, metavar="TIME", help="only those that failed before then")


def _chosen(options: dict[str, Any]) -> QuerySet[Delivery]:
    filters = {name: options[name] for name in FILTERS}
    return dead_letters(ids=options.get("ids") or (), event_id=filters.pop("event"), **filters)


def _short(value: object) -> str:
    text = value.isoformat(" ", "seconds") if hasattr(value, "isoformat") else str(value)
    return text if len(text) <= 100 else f"{text[:99]}…"
