"""The forms of the access log's lines: pure."""
