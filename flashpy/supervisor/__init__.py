"""The supervisor: a small process outside the sandbox, which starts, replaces and retires the workers."""
