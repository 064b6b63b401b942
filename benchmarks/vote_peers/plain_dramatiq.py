"""The vote as a plain dramatiq actor, with django_dramatiq's middleware for database connections."""

import dramatiq
from django_dramatiq.middleware import DbConnectionsMiddleware
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.vote_peers import vote_counts

QUEUE, NOTICE_QUEUE = "votes_by_dramatiq", "notices_by_dramatiq"

broker = RabbitmqBroker(url=vote_counts.BROKER_URL)
broker.add_middleware(DbConnectionsMiddleware())
dramatiq.set_broker(broker)


@dramatiq.actor(broker=broker, queue_name=NOTICE_QUEUE)
def notify_author(post_id: int, author_id: int, user_id: int, vote_type: str) -> None:
    """Never runs: the worker does not consume this queue, as Airy's does not consume those of the notifications."""


@dramatiq.actor(broker=broker, queue_name=QUEUE)
def count_vote(vote_id: int, post_id: int, user_id: int, vote_type: str) -> None:
    vote_counts.count_vote(vote_id, post_id, user_id, vote_type, notify=notify_author.send)


def send(votes: list[tuple[int, int, int, str]]) -> None:
    for vote in votes:
        count_vote.send(*vote)
