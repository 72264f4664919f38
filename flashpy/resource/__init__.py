"""Resources: what answers requests. They know requests, jobs and caches, but no socket and no event loop."""
