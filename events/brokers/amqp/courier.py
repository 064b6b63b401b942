"""Courier: the relay's, over one connection, over which it also answers what reconcile asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..publish_outbox import PublishingCourier
from .questions import Questions
from .queues import sizes_of

if TYPE_CHECKING:
    from .publisher import RabbitmqPublisher


class AnsweringCourier(PublishingCourier):
    """Publishes, and answers questions between two batches."""

    def __init__(self, publisher: RabbitmqPublisher, *, questions: Questions, **options: Any) -> None:
        super().__init__(publisher, **options)
        self._calls = publisher.calls
        self._questions: Questions | None = questions
        questions.begin()

    def carry(self) -> int:
        self._answer()
        return super().carry()

    def keep_alive(self) -> None:
        self._answer()
        super().keep_alive()

    def close(self) -> None:
        questions, self._questions = self._questions, None
        if questions is not None:
            questions.end()
        super().close()

    def _answer(self) -> None:
        if self._questions is not None:
            self._questions.answer(lambda queues: sizes_of(self._calls(), queues))
