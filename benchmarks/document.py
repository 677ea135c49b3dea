"""`python -m benchmarks.document`: docs/measured.md and its plots, from the run that is kept in docs/measured.jsonl.

`python -m benchmarks > docs/measured.jsonl` is that run. Nothing in measured.md is written by hand: a test compares.
"""

import json
import math
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
RUN = DOCS / "measured.jsonl"
SESSIONS = (10_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
HOURS_A_DAY, ACCESS_MINUTES, PEAK, LOAD, MEMORY_GB = 1, 10, 3, 0.5, 32

Figures = dict[str, dict[str, Any]]


def figures(text: str) -> Figures:
    return {line.pop("figure"): line for line in map(json.loads, text.splitlines())}


def page(found: Figures) -> str:
    machine = found["machine"]
    lines = [
        "# What was measured",
        "",
        "Printed by `make bench`, put together by `python -m benchmarks.document`; nothing here is written by hand.",
        f"Measured on {machine['cores']} cores of {machine['processor']}, Python {machine['python']}. Servers, callers",
        "and peers share those cores. A ratio compares two things measured in the same run: that is what carries over",
        "to other machines.",
        "",
        "![Refreshes a second over HTTP, beside the peers](figures/peers.svg)",
        "",
        "![Refreshes among few and among many sessions](figures/sessions.svg)",
        "",
        "| figure | measured | ratio | goal |",
        "|---|---|---|---|",
        *(_row(name, line) for name, line in found.items() if name != "machine"),
        "",
        *_sizes(found),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, line: dict[str, Any]) -> str:
    said = [_number(line["value"])] if "value" in line else []
    said += [f"{key.replace('_', ' ')}: {_number(value)}" for key, value in line.items() if key not in _COLUMNS]
    ratio = _number(line.get("ratio", line.get("p99_ratio", "")))
    return f"| {name} | {', '.join(said)} | {ratio} | {line.get('goal', '')} |"


_COLUMNS = ("value", "ratio", "goal", "p99_ratio")


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _sizes(found: Figures) -> list[str]:
    bytes_pg = found["sessions loaded by COPY"]["bytes_a_session"]
    bytes_valkey = found["Valkey: bytes a session"]["value"]
    process = found["one process of the service on PostgreSQL, refreshes a second over HTTP"]["value"]
    steps = found["PostgreSQL: store steps a second, 256 callers"]["value"]
    primary = found["a bare client on Valkey, 128 calls a pipeline"]["value"]
    a_day = HOURS_A_DAY * 60 // ACCESS_MINUTES
    columns = ("sessions", "refreshes a second at the peak", "processes of the service", "PostgreSQL", "GB there")
    columns += ("Valkey primaries", "GB there")
    rows = [
        "## How large",
        "",
        f"A session that is used {HOURS_A_DAY} hour a day refreshes {a_day} times in it (access tokens of",
        f"{ACCESS_MINUTES}"
        f" minutes). The busiest hour has {PEAK} times the average. Nothing is loaded to more than {LOAD:.0%} of what",
        f"it did above: {_number(process)} refreshes a second for one process of the service, {_number(steps)} for one",
        f"PostgreSQL, {_number(primary)} for one Valkey primary. A session takes {bytes_pg:.0f} bytes in PostgreSQL,",
        f"indexes included, and {bytes_valkey:.0f} in Valkey, of whose {MEMORY_GB} GB a primary may use {LOAD:.0%}.",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
    ]
    for sessions in SESSIONS:
        peak = sessions * HOURS_A_DAY * 60 / ACCESS_MINUTES / 86400 * PEAK
        processes = math.ceil(peak / (process * LOAD))
        one = "one" if peak <= steps * LOAD else "too few for one: shard, or take Valkey"
        in_pg, in_valkey = sessions * bytes_pg / 1e9, sessions * bytes_valkey / 1e9
        primaries = max(math.ceil(peak / (primary * LOAD)), math.ceil(in_valkey / (MEMORY_GB * LOAD)))
        rows.append(
            f"| {sessions:,} | {_number(round(peak, 1) if peak < 10 else round(peak))} | {processes} | {one} "
            f"| {_number(in_pg)} | {primaries} | {_number(in_valkey)} |"
        )
    rows += [
        "",
        "Processes and primaries for the load alone: run at least two of each, so that one may fail.",
    ]
    return rows


def plot(found: Figures, folder: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    plain = {"axes.spines.top": False, "axes.spines.right": False}
    matplotlib.rcParams |= {"svg.hashsalt": "tenure", "font.size": 9, **plain}
    from matplotlib import pyplot

    grey, green = "#9aa5b1", "#2f6f4f"
    peers = {name.partition(":")[0]: line for name, line in found.items() if "refreshes a second over HTTP, 2" in name}
    figure, both = pyplot.subplots(1, 2, figsize=(9, 2.2), layout="constrained", sharey=True)
    names = list(peers)[::-1]
    titles = {"value": "refreshes a second", "bytes_a_refresh": "bytes added by a refresh"}
    for axes, (key, title) in zip(both, titles.items(), strict=True):
        values = [float(round(peers[name][key])) for name in names]
        bars = axes.barh(names, values, color=[grey] * (len(names) - 1) + [green])
        axes.bar_label(bars, labels=[_number(value) for value in values], padding=3)
        axes.set_title(title)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.margins(x=0.15)
    figure.savefig(folder / "peers.svg", metadata={"Date": None})

    among = {name: line for name, line in found.items() if name.startswith("a refresh among")}
    figure, axes = pyplot.subplots(figsize=(9, 1.8), layout="constrained")
    labels = [f"{int(name.split()[3]):,} sessions" for name in among][::-1]
    lines = list(among.values())[::-1]
    for key, colour, label, aside in (
        ("p50_ms", grey, "half are faster", 0.2),
        ("p99_ms", green, "99 of 100 are faster", -0.2),
    ):
        places = [place + aside for place in range(len(lines))]
        axes.barh(places, [line[key] for line in lines], 0.38, color=colour, label=label)
    axes.set_yticks(range(len(lines)), labels)
    axes.set_xlabel("milliseconds for a refresh, 32 callers at once")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(folder / "sessions.svg", metadata={"Date": None})


if __name__ == "__main__":
    run = figures(RUN.read_text())
    (DOCS / "figures").mkdir(exist_ok=True)
    (DOCS / "measured.md").write_text(page(run))
    plot(run, DOCS / "figures")
