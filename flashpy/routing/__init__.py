"""Routing: what a path leads to before any file is looked for; pure functions of what a request says."""
