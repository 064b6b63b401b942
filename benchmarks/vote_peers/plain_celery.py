"""The vote as a celery task, database connections kept by celery's own support of Django."""

from celery import Celery

from benchmarks.vote_peers import vote_counts as tally

QUEUE, TOLD = "votes_by_celery", "told_by_celery"

app = Celery("votes", broker=tally.BROKER_URL)
app.conf.update(task_default_queue=QUEUE, task_acks_late=True, task_ignore_result=True)


@app.task(name="tell_of_vote", queue=TOLD)
def tell_of_vote(post_id: int, author_id: int, user_id: int, vote_type: str) -> None:
    """Never run: the benchmark's worker leaves its queue alone, as ours does those of the notifications."""


@app.task(name="count_vote")
def count_vote(vote_id: int, post_id: int, user_id: int, vote_type: str) -> None:
    tally.count_vote(vote_id, post_id, user_id, vote_type, tell=tell_of_vote.delay)


def send(votes: list[tuple[int, int, int, str]]) -> None:
    for vote in votes:
        count_vote.delay(*vote)
