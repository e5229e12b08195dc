"""Edge out: metrics, alerts, scores."""
