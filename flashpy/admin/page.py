"""The status page: a skeleton, which its script fills, once a second, with what ``/-/status.json`` says.

Names and causes in it come from clients, so the script writes text only, never markup; and no other script may run.
"""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page (CSP Level 3)."""

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b57c2"/>'
    '<path d="M18.5 4 8 18h7l-1.5 10L24 14h-7z" fill="#fff"/></svg>'
)


def _chart(name: str, title: str, unit: str, more: str = "") -> str:
    """A card with a figure and its course over the last minutes."""
    return (
        f'<section class="card figure" aria-labelledby="{name}-title"><h2 id="{name}-title">{title}</h2>'
        f'<p class="big"><span id="{name}">–</span> <small id="{name}-unit">{unit}</small></p>'
        f'<svg class="chart" id="{name}-chart" viewBox="0 0 300 60" preserveAspectRatio="none" role="img" '
        f'aria-labelledby="{name}-title"><path class="area"/><path class="second"/><path class="line"/></svg>'
        f'<p class="under"><span id="{name}-note">{more}</span><span id="{name}-most"></span></p></section>\n'
    )


def _table(name: str, title: str, columns: tuple[str, ...], note: str = "", wide: tuple[int, ...] = ()) -> str:
    """A card with a table; columns that are ``wide`` are left out where there is little room."""
    heads = "".join(
        f'<th scope="col"{" class=wide" if number in wide else ""}>{column}</th>'
        for number, column in enumerate(columns)
    )
    return _card(
        name,
        title,
        note,
        f'<div class="scroll"><table id="{name}"><thead><tr>{heads}</tr></thead><tbody></tbody></table></div>',
    )


def _list(name: str, title: str, note: str = "", kind: str = "bars") -> str:
    return _card(name, title, note, f'<dl class="{kind}" id="{name}"></dl>')


def _card(name: str, title: str, note: str, content: str) -> str:
    return (
        f'<section class="card" aria-labelledby="{name}-title"><header><h2 id="{name}-title">{title}</h2>'
        f'<p class="note" id="{name}-note">{note}</p></header>{content}</section>\n'
    )


PAGE = "".join(
    (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<title>flashpy</title>\n'
        '<link rel="icon" type="image/svg+xml" href="/-/status.svg">\n<link rel="stylesheet" href="/-/status.css">\n'
        '<script src="/-/status.js" defer></script>\n</head>\n<body>\n'
        '<header class="top"><h1>flashpy <small id="version"></small></h1>'
        '<p class="state"><span class="pill" id="state" role="status">Loading</span></p>'
        '<p class="facts" id="facts"></p></header>\n'
        '<noscript><p class="card">This page takes a script to be filled. Programs read '
        '<a href="/-/status.json">status.json</a> and <a href="/-/metrics">metrics</a>.</p></noscript>\n<main>\n'
        '<div class="figures">\n',
        _chart("requests", "Requests", "a second"),
        _chart("latency", "Time to answer", "half of them"),
        _chart("sent", "Sent", ""),
        _chart("connections", "Connections", "open"),
        '</div>\n<div class="columns">\n',
        '<div class="column">\n',
        _table(
            "nodes",
            "Nodes",
            (
                *("Node", "Standing", "Load", "Targets", "Handed/s", "Relayed/s", "Fetched/s"),
                *("Predicted", "Delay", "Handed", "Come back"),
            ),
            wide=(9, 10),
        ),
        _table(
            "caches",
            "Caches",
            ("Cache", "Hit rate", "In use", "Entries", "Bytes", "Evicted"),
            "Of the requests of the last 10 s.",
            wide=(3, 5),
        ),
        _table(
            "devices",
            "Helpers",
            ("Device", "Jobs/s", "At work", "Waiting", "Mean wait", "Mean work", "Longest wait"),
            wide=(4, 6),
        ),
        _table(
            "workers",
            "Workers",
            ("Worker", "Requests/s", "Connections", "Processor", "Longest stall", "Requests", "Process"),
            wide=(4, 6),
        ),
        _table(
            "stalls", "Worst stalls of the event loop", ("Held for", "By", "When"), "Nobody else is answered meanwhile."
        ),
        '</div>\n<div class="column">\n',
        _list("statuses", "Answers by status", "Since the start."),
        _list("states", "Connections by state", "What they wait for."),
        _list("buckets", "Stalls by length", "Since the start."),
        _list("troubles", "Troubles", "Since the start.", "pairs"),
        "</div>\n",
        '</div>\n</main>\n<footer><a href="/-/metrics">Metrics for Prometheus</a> <a href="/-/status.json">As JSON</a> '
        '<a href="/-/ready">Ready?</a></footer>\n</body>\n</html>\n',
    )
)
