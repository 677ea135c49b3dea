"""`python -m benchmarks.document_policies`: docs/policies.md and its plot, from the run kept in docs/policies.jsonl.

`python -m benchmarks policies > docs/policies.jsonl` is that run. A test checks that the page is what this prints.
"""

from pathlib import Path

from benchmarks.document import DOCS, Figures, figures
from benchmarks.policies import ASSUMED, POLICIES

RUN = DOCS / "policies.jsonl"

FALSE = "false log-outs per 1,000 user-years"
MEDIAN, LONG = (f"a thief's stay, hours, {which}" for which in ("median", "19 of 20 within"))

PLAYED_BY = {
    "no rotation": "OAuth servers with rotation switched off",
    "strict rotation": "Hydra and Keycloak without a grace period, simplejwt with a blacklist",
    "grace window of 10 s": "Hydra, Auth0 and Cognito with a grace period",
    "grace window of 60 s": "the longest that Cognito allows",
    "parent until the child is used": "SuperTokens",
    "tenure, leeway of 30 s only": "tenure with a client that sends no attempt keys",
    "tenure, with attempt keys": "tenure with its own clients",
}

EXPLAINED = {
    "refreshes a day": "access tokens of ten minutes, three and a half hours of use",
    "answers lost": "of refreshes: the server has committed, the client has received nothing",
    "asked again at once": "of lost responses: a retry within 0.5 to 5 seconds",
    "asked again later": "of lost responses: a retry within 0.5 to 15 minutes",
    "asked again after sleep": "of lost responses: a retry after 1 to 12 hours, by a laptop or phone that slept",
    "two at once": "of refreshes: two tabs or processes present the same token, 0.2 s apart",
    "days": "the longest life of a session",
    "the thief waits": "seconds after the owner's refresh; then the thief refreshes every 9 minutes",
}


PAGE = """# What each policy costs

A server that rotates refresh tokens has to decide what a used token means when it comes again: a thief, or an honest
client whose response was lost. Each policy errs on one side. This page plays the same honest clients and the same
thieves against each policy, as its documentation describes it, and counts both errors.

![False log-outs and a thief's stay, by policy](figures/policies.svg)

| policy | who has it | false log-outs per 1,000 user-years | a thief stays in, median | 19 of 20 thieves |
|---|---|---|---|---|
{policies}

- **Strict rotation** finds thieves soonest, but takes two tabs and every lost response for one.
- **A grace window** mends the tabs and the quick retries. A laptop that sleeps over a lost response is still logged
  out, and a thief inside the window gets a line of their own, which nobody ever finds.
- **The parent until its child is used** logs nobody out here, and finds the thief as soon as tenure. Two things that
  this simulation leaves out tell them apart. A used token is believed for as long as its child is unused: for days, if
  the owner is away. And a store that loses its newest write in a failover logs the user out.
- **tenure** recognises a retry by its attempt key, at any time, and needs no window for that. The leeway is for clients
  that send no key.

A thief who copies the newest token of an owner who never comes back stays in until the session ends, under every policy
on this page.

## What is assumed

| | value | |
|---|---|---|
{assumed}

The seed is fixed: `python -m benchmarks policies` prints the same figures again, and `benchmarks/policies.py` is short
enough to check. We know of no published measurements for these rates. Change them in `ASSUMED` and see what stays: the
figures move, the order of the policies does not.
"""


def page(found: Figures) -> str:
    names = [make().name for make in POLICIES]
    rows = [
        f"| {name} | {PLAYED_BY[name]} | {_rate(found[f'{name}: {FALSE}']['value'])} "
        f"| {_span(found[f'{name}: {MEDIAN}']['value'])} | {_span(found[f'{name}: {LONG}']['value'])} |"
        for name in names
    ]
    assumed = [f"| {name} | {value:g} | {EXPLAINED[name]} |" for name, value in ASSUMED.items()]
    return PAGE.format(policies="\n".join(rows), assumed="\n".join(assumed))


def _rate(value: float) -> str:
    return "none" if value == 0 else f"{value:,.0f}"


def _span(hours: float) -> str:
    return (
        f"{hours * 60:.0f} minutes" if hours < 2 else f"{hours:.1f} hours" if hours < 48 else f"{hours / 24:.0f} days"
    )


def plot(found: Figures, path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {
        "svg.hashsalt": "tenure",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    from matplotlib import pyplot

    names = [make().name for make in POLICIES][::-1]
    colours = ["#2f6f4f" if name.startswith("tenure") else "#9aa5b1" for name in names]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 2.6), layout="constrained", sharey=True)
    false = [found[f"{name}: {FALSE}"]["value"] for name in names]
    stays = [found[f"{name}: {MEDIAN}"]["value"] for name in names]
    for axes, values, words, title in (
        (left, [max(value, 1) for value in false], [_rate(value) for value in false], FALSE),
        (right, [value * 60 for value in stays], [_span(value) for value in stays], "a thief stays in, median"),
    ):
        bars = axes.barh(names, values, color=colours)
        axes.bar_label(bars, labels=words, padding=3)
        axes.set_xscale("log")
        axes.set_xlim(left=1)
        axes.set_title(title)
        axes.set_xticks([])
        axes.minorticks_off()
        axes.spines["bottom"].set_visible(False)
        axes.margins(x=0.25)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    run = figures(RUN.read_text())
    (DOCS / "policies.md").write_text(page(run))
    plot(run, DOCS / "figures" / "policies.svg")
