"""What every role is as a process: its log, its health, its page for operators, its HTTP server."""
