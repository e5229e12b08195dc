"""Per-stream state as arrays: table, time gate, cadence, scaling, windows."""
