"""Sample quality beside likelihood: torchmetrics that compare samples with data."""
