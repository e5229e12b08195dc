"""The status page and reports: what the daemon and replay saw, as pictures in a browser."""
