"""The vote as a plain dramatiq actor, database connections kept by django_dramatiq's middleware."""

import dramatiq
from django_dramatiq.middleware import DbConnectionsMiddleware
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.vote_peers import vote_counts as tally

QUEUE, TOLD = "votes_by_dramatiq", "told_by_dramatiq"

broker = RabbitmqBroker(url=tally.BROKER_URL)
broker.add_middleware(DbConnectionsMiddleware())
dramatiq.set_broker(broker)


@dramatiq.actor(broker=broker, queue_name=TOLD)
def tell_of_vote(post_id: int, author_id: int, user_id: int, vote_type: str) -> None:
    """Never run: the benchmark's worker leaves its queue alone, as ours does those of the notifications."""


@dramatiq.actor(broker=broker, queue_name=QUEUE)
def count_vote(vote_id: int, post_id: int, user_id: int, vote_type: str) -> None:
    tally.count_vote(vote_id, post_id, user_id, vote_type, tell=tell_of_vote.send)


def send(votes: list[tuple[int, int, int, str]]) -> None:
    for vote in votes:
        count_vote.send(*vote)
