"""The front-end of a cluster: it accepts, chooses a node for each request, and hands the connection or request on."""
