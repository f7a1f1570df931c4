"""The board: a web page over server-sent events, fed from the live topic alone."""
