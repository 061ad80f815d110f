"""What can be chosen by name; the command line asks for these without importing more."""

LAUNCHERS = ("basic", "joblib", "submitit")
SAMPLERS = ("tpe", "random")
PRUNERS = ("median", "hyperband", "none")
