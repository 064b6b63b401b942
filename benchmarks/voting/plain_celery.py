"""The vote as a celery task, database connections kept by celery's own support of Django."""

from celery import Celery

from benchmarks.voting import tally

app = Celery("votes", broker=tally.BROKER_URL)
app.conf.update(task_default_queue="votes_by_celery", task_acks_late=True, task_ignore_result=True)


@app.task(name="count_vote")
def count_vote(post_id: int, vote_type: str) -> None:
    tally.count_vote(post_id, vote_type)


def send(votes: list[tuple[int, str]]) -> None:
    for post_id, vote_type in votes:
        count_vote.delay(post_id, vote_type)
