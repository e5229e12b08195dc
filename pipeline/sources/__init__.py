"""Edge in: MQTT, inbox, recordings, the simulated plant."""
