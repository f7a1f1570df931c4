"""The time machine, as a library and as the command."""
