"""HAProxy with LARD's decisions: it forwards requests, we tell it where, by its stick table."""
