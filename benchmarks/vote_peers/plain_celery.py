"""The vote as a celery task, with celery's own Django support for database connections."""

from celery import Celery

from benchmarks.vote_peers import vote_counts

QUEUE, NOTICE_QUEUE = "votes_by_celery", "notices_by_celery"

app = Celery("votes", broker=vote_counts.BROKER_URL)
app.conf.update(task_default_queue=QUEUE, task_acks_late=True, task_ignore_result=True)


@app.task(name="notify_author", queue=NOTICE_QUEUE)
def notify_author(post_id: int, author_id: int, user_id: int, vote_type: str) -> None:
    """Never runs: the worker does not consume this queue, as Airy's does not consume those of the notifications."""


@app.task(name="count_vote")
def count_vote(vote_id: int, post_id: int, user_id: int, vote_type: str) -> None:
    vote_counts.count_vote(vote_id, post_id, user_id, vote_type, notify=notify_author.delay)


def send(votes: list[tuple[int, int, int, str]]) -> None:
    for vote in votes:
        count_vote.delay(*vote)
