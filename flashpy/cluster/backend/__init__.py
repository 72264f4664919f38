"""HTTP/1.1 connections to nodes: of the front-end, and of a node to its neighbours."""
