"""From message to readings: total, so bytes become readings or a named rejection."""
