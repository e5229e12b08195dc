"""The same engine beyond one machine: an ingest log of segments, and Spark that scores it."""
