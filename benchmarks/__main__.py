"""Every benchmark, small."""

import subprocess
import sys

SMALL = (("benchmarks.cost_of_an_event", "--rounds", "10"), ("benchmarks.pool", "--quick"))

for module, *arguments in SMALL:
    print(f"== {module}", flush=True)
    subprocess.run((sys.executable, "-m", module, *arguments), check=True)
