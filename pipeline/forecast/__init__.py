"""The bank of LSTMs, its features, training and baselines. Torch is imported in ``by_torch`` only."""
