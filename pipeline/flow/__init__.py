"""The spine: one engine for daemon, replay, tests and Spark. Read this first."""
