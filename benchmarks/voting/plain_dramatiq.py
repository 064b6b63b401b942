"""The vote as a plain dramatiq actor, database connections kept by django_dramatiq's middleware."""

import dramatiq
from django_dramatiq.middleware import DbConnectionsMiddleware
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.voting import tally

broker = RabbitmqBroker(url=tally.BROKER_URL)
broker.add_middleware(DbConnectionsMiddleware())
dramatiq.set_broker(broker)


@dramatiq.actor(broker=broker, queue_name="votes_by_dramatiq")
def count_vote(post_id: int, vote_type: str) -> None:
    tally.count_vote(post_id, vote_type)


def send(votes: list[tuple[int, str]]) -> None:
    for post_id, vote_type in votes:
        count_vote.send(post_id, vote_type)
