#!/usr/bin/env python
"""Airy's command line."""

import os
import sys
from multiprocessing import current_process

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "airy.settings")
    from django.core.management import execute_from_command_line

    from events.db import name_sessions

    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "help")
    name_sessions(command)
    current_process().name = command  # in each line of the log
    execute_from_command_line(sys.argv)
