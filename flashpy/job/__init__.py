"""Jobs: what may block, what it is called on the pipe, and what a helper process does about it.

Standard library only, and no asyncio: the helper processes import this package.
"""
