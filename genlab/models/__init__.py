"""Model families, which do not know each other."""
