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


PAGE = """# What was measured

Measured on {cores} cores of {processor}, Python {python}. Servers, callers and peers share those cores. `make bench` prints
the same figures for your machine, and `python -m benchmarks.document` makes this page of them. A figure that compares two
things measured in one run carries over to other machines; the others depend on this one.

## Beside other servers

Refreshes over HTTP on PostgreSQL with durable commits, two workers, 64 callers:

![Refreshes a second over HTTP, beside the peers](figures/peers.svg)

{peers}

A refresh of tenure is one statement, and adds nothing to the database: nothing to clean up, and nothing that grows with use.
[Beside others](comparison.md) has Keycloak, Ory Hydra and Supabase Auth.

## How fast

{speed}

Checking an access token costs little more than its signature, and a few tenths of a microsecond the second time. A forged
refresh token costs arithmetic only.

## How the time is spent

One refresh, all layers in one thread, with the memory store:

{layers}

## Clients

{clients}

Whatever the number of requests, tasks and processes that meet an expired token: one refresh is made.

## What refreshes leave behind

![Refreshes among few and among many sessions](figures/sessions.svg)

{growth}

Ten million sessions are as quick as ten thousand, and refreshing leaves a store as large as it was.

{trouble}{sizes}

## Goals

What we set out to reach, for those who work on tenure:

{goals}
"""


TROUBLES = """## After an outage, and after an incident

{}

A crowd is served at nearly full speed, as those who would wait too long are told at once to come back later. Ending all
sessions takes effect at once; while they are then ended one by one, refreshes go on, more slowly.

"""


def page(found: Figures) -> str:
    return PAGE.format(
        **found["machine"],
        peers=_peers(found),
        speed=_table(found, SPEED),
        layers=_table(found, LAYERS),
        clients=_table(found, CLIENTS),
        growth=_table(found, GROWTH),
        trouble=TROUBLES.format(_table(found, TROUBLE)) if TROUBLE[0][1] in found else "",
        sizes="\n".join(_sizes(found)),
        goals=_goals(found),
    )


Rows = list[tuple[str, str, str, str]]
"""What a row says, the figure's name in the run, which of its values, and its unit: "" for a plain number, "x" for a
multiple of what is named in the row."""

SPEED: Rows = [
    (
        "refreshes by the library, SQLite, one process",
        "refreshes a second, AsyncTenure on SQLite, 256 callers",
        "value",
        "a second",
    ),
    ("the same, PostgreSQL", "PostgreSQL: whole refreshes a second in one process", "value", "a second"),
    ("the same, Valkey", "Valkey: whole refreshes a second in one process", "value", "a second"),
    (
        "the same, SQLite, and an `async` function is asked for claims",
        "the same with an async function for claims",
        "value",
        "a second",
    ),
    ("`POST /oauth/token`, SQLite, one worker", "POST /oauth/token a second, one worker", "value", "a second"),
    ("an empty application on the same server", "an empty ASGI application on the same server", "value", "a second"),
    (
        "`POST /oauth/token`, PostgreSQL, one worker",
        "one process of the service on PostgreSQL, refreshes a second over HTTP",
        "value",
        "a second",
    ),
    ("the same, two workers", "two processes of the service against one", "value", "a second"),
    (
        "PgBouncer between, in transaction mode, against none",
        "the same through PgBouncer, transaction mode",
        "ratio",
        "x",
    ),
    ("checking an access token for the first time", "verify, the first time", "us", "µs"),
    ("the bare signature check in that", "bare ES256 signature check", "us", "µs"),
    ("checking it again", "verify, cached", "us", "µs"),
    ("refusing a forged refresh token", "a forged refresh token refused", "us", "µs"),
]

LAYERS: Rows = [
    (
        "a refresh token parsed and the next one sealed",
        "a refresh token read and another sealed, microseconds",
        "value",
        "µs",
    ),
    ("an access token signed (ES256)", "an access token signed (ES256), microseconds", "value", "µs"),
    ("a whole refresh by the library", "a whole refresh, memory store, microseconds", "value", "µs"),
    (
        "and with its endpoint: form, client, limits, JSON",
        "and through the endpoint (form, client, limits, JSON), microseconds",
        "value",
        "µs",
    ),
    ("and with ASGI", "and through ASGI (Starlette), microseconds", "value", "µs"),
    ("the same in instructions", "instructions of a refresh, memory store, through ASGI", "value", ""),
]

CLIENTS: Rows = [
    (
        "what the Python client adds to a request with a valid token",
        "httpx auth where no refresh is needed",
        "us",
        "µs",
    ),
    (
        "refreshes made by 1,000 requests at once whose token has expired",
        "refreshes of 1,000 concurrent asyncio requests at expiry",
        "value",
        "",
    ),
    ("50 processes with one storage, one request each", "50 processes, one request each, no expiry", "ms", "ms"),
    ("more than a refresh, if the token has expired", "50 processes at expiry", "ms_beyond_the_refresh", "ms"),
]

GROWTH: Rows = [
    ("rows added by 1,000 refreshes", "rows added by 1,000 refreshes", "value", ""),
    (
        "growth of a SQLite file by 1,000,000 refreshes",
        "bytes after 1,000,000 refreshes over 10,000 sessions",
        "ratio",
        "x",
    ),
    ("growth of PostgreSQL by as many refreshes as sessions", "after as many refreshes as sessions", "growth", "x"),
    ("a session in SQLite", "bytes after 1,000,000 refreshes over 10,000 sessions", "bytes_a_session", "bytes"),
    ("a session in PostgreSQL, indexes included", "sessions loaded by COPY", "bytes_a_session", "bytes"),
    ("a session in Valkey", "Valkey: bytes a session", "value", "bytes"),
    ("a refresh among 10,000 sessions, 99 of 100 within", "a refresh among 10000 sessions", "p99_ms", "ms"),
    ("a refresh among 10,000,000 sessions, 99 of 100 within", "a refresh among 10000000 sessions", "p99_ms", "ms"),
]

_HERD = "18000 clients at once:"
TROUBLE: Rows = [
    ("18,000 clients refresh within a second, one worker: everybody is in again after", f"{_HERD} seconds until everybody is in again", "value", "s"),
    ("requests that takes, for each client", f"{_HERD} requests a client", "value", ""),
    ("clients that are logged out by it", f"{_HERD} logged out", "value", ""),
    ("ending 1,000,000 sessions, SQLite: takes effect after", "SQLite: seconds until a session that is ended can't refresh", "value", "s"),
    ("sessions ended one by one after that", "SQLite: sessions ended a second", "value", "a second"),
    ("a refresh meanwhile, 99 of 100 within", "SQLite: p99 of a refresh meanwhile, ms", "value", "ms"),
    ("ending 1,000,000 sessions, PostgreSQL: takes effect after", "PostgreSQL: seconds until a session that is ended can't refresh", "value", "s"),
    ("sessions ended one by one after that", "PostgreSQL: sessions ended a second", "value", "a second"),
    ("a refresh meanwhile, 99 of 100 within", "PostgreSQL: p99 of a refresh meanwhile, ms", "value", "ms"),
]  # fmt: skip


def _table(found: Figures, rows: Rows) -> str:
    lines = [f"| {label} | {_with_unit(found[name][key], unit)} |" for label, name, key, unit in rows if name in found]
    return "\n".join(["| | |", "|---|---|", *lines])


def _with_unit(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.2f} times"
    return f"{_number(value)} {unit}".strip()


def _peers(found: Figures) -> str:
    of = {name.partition(":")[0]: line for name, line in found.items() if PEER in name}
    lines = [
        f"| {name} | {_number(line['value'])} | {_number(line['p99_ms'])} ms | {_number(line['statements_a_refresh'])} "
        f"| {_number(line['bytes_a_refresh'])} | {line['a_client_that_loses_a_response']} |"
        for name, line in of.items()
    ]
    head = "| | refreshes a second | 99 of 100 within | statements | bytes added | a client that loses a response |"
    return "\n".join([head, "|---|---|---|---|---|---|", *lines])


def _goals(found: Figures) -> str:
    lines = [
        f"| {name} | {_number(next(line[key] for key in REACHED if key in line))} | {_number(line['goal'])} |"
        for name, line in found.items()
        if "goal" in line
    ]
    return "\n".join(["| figure | reached | goal |", "|---|---|---|", *lines])


PEER = "refreshes a second over HTTP, 2"
REACHED = ("ratio", "p99_ratio", "value", "us")


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
    peers = {name.partition(":")[0]: line for name, line in found.items() if PEER in name}
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
