"""Which job is done next, by how many, and on which device: policies, without processes, sockets or a clock."""
