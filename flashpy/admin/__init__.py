"""What is told of a running server: metrics for Prometheus, a status page for people, JSON for programs."""
