"""Runs, in small sizes, the benchmarks that need no other packages (see benchmarks/requirements.txt for those)."""

import subprocess
import sys

SMALL = (
    ("benchmarks.cost_of_an_event", "--rounds", "10"),
    ("benchmarks.pool", "--quick"),
    ("benchmarks.relay", "--rounds", "3", "--events", "1000", "--singles", "100"),
    ("benchmarks.drain", "--rounds", "3", "--events", "2000", "--only", "^(airy|dramatiq) (no-op|update|batch)$"),
    ("benchmarks.starvation", "--rounds", "3", "--events", "2000", "--waiting", "1000"),
    ("benchmarks.latency", "--rounds", "2"),
    ("benchmarks.feeds", "--readers", "5000", "--users", "30000", "--followers", "5000", "--rounds", "5"),
    ("benchmarks.writers", "--rounds", "2", "--seconds", "2"),
    ("benchmarks.outbox", "--rows", "100000", "--rounds", "3", "--unblocked-events", "1000"),
    ("benchmarks.behind", "--events", "200000", "--rounds", "3"),
    ("benchmarks.subjects", "--rounds", "3"),
    ("benchmarks.memory", "--rows", "100000", "--events", "10000"),
    ("benchmarks.search", "--posts", "3000", "--rounds", "3"),
    ("benchmarks.threads", "--rounds", "3"),
    ("benchmarks.flood", "--seconds", "5"),
    ("benchmarks.texts", "--copies", "3", "--random", "100", "--kept", "3"),
)

for module, *arguments in SMALL:
    print(f"== {module}", flush=True)
    subprocess.run((sys.executable, "-m", module, *arguments), check=True)
