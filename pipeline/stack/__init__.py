"""The embedded stack: broker, store and all roles as processes on one machine, one command."""
