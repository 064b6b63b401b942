"""erase_removed: erase what was deleted or removed more than 30 days ago, and is there still."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.core.management.base import BaseCommand

from feeds.batch.chunks import each_chunk
from feeds.erasing.removed import MODELS, erase_expired, expired


class Command(BaseCommand):
    """Workers do this by themselves, for each removal as its time is over. The command is for rows that were deleted
    before deleting erased, and for an installation whose events were lost. What is done stays done: run it again."""

    help = "Erase posts and comments that were deleted or removed more than 30 days ago and are there still."

    def handle(self, *args: Any, **options: Any) -> None:
        for name, model in MODELS.items():
            done = each_chunk(model.objects.filter(expired()), partial(_erase, name))
            self.stdout.write(f"{name}: {sum(done)} erased")


def _erase(name: str, ids: list[int]) -> int:
    return erase_expired({name: ids})
