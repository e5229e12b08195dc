"""The bank of LSTMs, its features, training and baselines. The only folder that imports torch."""
