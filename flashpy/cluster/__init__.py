"""A cluster that sends each request to a node which is likely to have its target in memory (LARD)."""
