"""The configuration tree of genlab, shipped as the package genlab.configs."""
