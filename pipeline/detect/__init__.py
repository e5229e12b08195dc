"""From residual to score to episode."""
