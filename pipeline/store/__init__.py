"""Edge down: what survives a restart, in SQLite and in files named by their own checksum."""
