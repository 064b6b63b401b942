"""`manage.py topology`: what stands at the broker, making it, and taking away what the code has no more."""

from dataclasses import asdict
from typing import Any

import dramatiq
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...brokers.contract import EventBroker, Topology, TopologyError
from ...repair.topology import Queue, declare_all, delete, survey, unbind
from ...worker.installation import installation_id
from ..claim import claim
from ..terminal import Table, confirm, show, show_json


class Command(BaseCommand):
    help = (
        "RabbitMQ keeps queues and bindings until they are removed. `show` compares them with the code. `declare` "
        "creates what is missing; run it on each deploy, before the relay starts. `unbind` removes bindings of "
        "patterns and subscribers that are no longer in the code, so that their queues stop filling."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", metavar="show|declare|unbind|adopt")
        parser.set_defaults(verb="show", json=False)
        showing = verbs.add_parser("show", help="list queues, patterns, messages and consumers (default)")
        showing.add_argument("--json", action="store_true", help="print JSON")
        verbs.add_parser("declare", help="create the exchange, queues and bindings; safe to repeat")
        unbinding = verbs.add_parser("unbind", help="remove bindings that are no longer in the code")
        unbinding.add_argument(
            "--delete-queue",
            action="store_true",
            help="also delete the queues of removed subscribers, if they are empty",
        )
        unbinding.add_argument(
            "--force", action="store_true", help="with --delete-queue: delete queues that still hold messages"
        )
        unbinding.add_argument("--dry-run", action="store_true", help="only print what would be removed")
        unbinding.add_argument(
            "--yes", action="store_true", help="do not ask for confirmation before deleting messages"
        )

        adopting = verbs.add_parser(
            "adopt", help="take over the mark of an installation whose database was made anew or restored elsewhere"
        )
        adopting.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    def handle(self, *args: Any, verb: str, **options: Any) -> None:
        broker = dramatiq.get_broker()
        topology = broker.topology if isinstance(broker, EventBroker) else None
        if topology is None or not isinstance(broker, EventBroker):
            self.stdout.write(f"{type(broker).__name__} keeps its queues in the process: there is nothing to declare.")
            return
        try:
            match verb:
                case "adopt":
                    confirm("Is no other installation in use with these queues and this source?", options)
                    topology.adopt(installation_id())
                    self.stdout.write(self.style.SUCCESS("The broker is marked as this installation's."))
                case "declare":
                    claim(broker)
                    count = declare_all(topology)
                    self.stdout.write(self.style.SUCCESS(f"{count} queues are bound to {topology.exchange}."))
                case "unbind":
                    self._unbind(topology, options)
                case _:
                    self._show(topology, options)
        except TopologyError as error:
            raise CommandError(str(error)) from None

    def _show(self, topology: Topology, options: dict[str, Any]) -> None:
        queues = survey(topology)
        if options["json"]:
            show_json(self.stdout, topology.describe() | {"queues": [asdict(queue) for queue in queues]})
            return
        self.stdout.write(topology.title)
        told = any(queue.unacknowledged is not None for queue in queues)
        more = ("held", "in per s", "done per s") if told else ()
        table = Table("queue", "subscriber", "patterns", "messages", "consumers", *more, "to do")
        for queue in queues:
            figures = (queue.unacknowledged, queue.published_per_second, queue.acknowledged_per_second)
            table.add_row(
                queue.name,
                queue.subscriber,
                ", ".join(queue.patterns),
                _figure(queue.messages),
                _figure(queue.consumers),
                *(_figure(one) for one in figures if told),
                _to_do(queue),
            )
        show(self.stdout, table)

    def _unbind(self, topology: Topology, options: dict[str, Any]) -> None:
        if options["force"] and not options["delete_queue"]:
            raise CommandError("--force works only together with --delete-queue.")
        queues = [queue for queue in survey(topology) if queue.stale or queue.orphan]
        if not queues:
            self.stdout.write(self.style.SUCCESS("The broker has no bindings or queues that are not in the code."))
            return
        doomed = sum(queue.messages or 0 for queue in queues if queue.orphan)
        if options["force"] and doomed and not options["dry_run"]:
            confirm(f"Delete queues with {doomed:,} messages in them?", options)
        for queue in queues:
            going = options["delete_queue"] and queue.orphan and queue.messages is not None
            if not options["dry_run"]:
                unbind(topology, queue)
                if going:
                    delete(topology, queue, force=options["force"])
            would = "would be " if options["dry_run"] else ""
            patterns = f"{', '.join(queue.stale)} {would}unbound" if queue.stale else "nothing bound"
            deleted = f"; queue {would}deleted with {queue.messages:,} messages" if going else ""
            self.stdout.write(f"{queue.name}: {patterns}{deleted}")


def _figure(number: float | None) -> str:
    return "-" if number is None else f"{number:,}"


def _to_do(queue: Queue) -> str:
    if queue.orphan:
        gone = "already deleted" if queue.messages is None else "no subscriber"
        return f"{gone}: unbind {', '.join(queue.stale)} --delete-queue"
    if queue.messages is None:
        return "missing: declare"
    return f"unbind {', '.join(queue.stale)}" if queue.stale else ""
