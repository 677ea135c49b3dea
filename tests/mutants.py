"""`make mutants`: change the core in hundreds of small ways, and see that a test notices each.

Which modules and which tests: [tool.mutmut] in pyproject.toml. A mutant that lives is to be killed by a test, or
explained in one line of tests/mutants.txt ("MUTANT: why it changes nothing"); anything else is an error.
"""

import re
import subprocess
import sys
from pathlib import Path

EXPLAINED = Path(__file__).with_name("mutants.txt")


def main() -> None:
    mutmut = Path(sys.executable).with_name("mutmut")
    subprocess.run([mutmut, "run"], check=True)
    results = subprocess.run([mutmut, "results"], check=True, capture_output=True, text=True).stdout
    living = set(re.findall(r"^\s*(\S+): (?:survived|no tests|timeout|suspicious)", results, re.M))
    explained = {line.partition(":")[0] for line in EXPLAINED.read_text().splitlines() if line.strip()}
    for mutant in sorted(living - explained):
        print(f"\n{mutant} lives:")
        subprocess.run([mutmut, "show", mutant], check=True)
    for mutant in sorted(explained - living):
        print(f"{mutant} is explained, but does not live (any more).")
    print(f"{len(living)} mutants live, {len(living & explained)} of them explained.")
    sys.exit(bool(living ^ explained))


if __name__ == "__main__":
    main()
