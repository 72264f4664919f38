"""The shell: sockets, the event loop and processes. asyncio is used here, in server.py and nowhere else."""
