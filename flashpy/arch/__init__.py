"""The four architectures of the Flash paper (section 3) over the same code: they differ in who serves a connection and
who carries out a job, and share all else. AMPED is for use, the others are for comparison."""
