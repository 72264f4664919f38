"""HTTP without any I/O: pure functions and state machines (no clock, no socket, no asyncio)."""
