"""A node of a cluster: an ordinary server that goes on with connections which a front-end has begun."""
