"""What is answered to a request: the sites of a server, by Host, and what each does with a request."""
