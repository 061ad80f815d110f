"""Building blocks without a training rule."""
