"""RFC 9110 and RFC 9112, clause by clause, over real sockets."""
