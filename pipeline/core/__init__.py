"""The words everybody uses: records, settings, errors, clock, sharding. No I/O, no threads."""
