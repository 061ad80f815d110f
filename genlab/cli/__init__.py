"""The command line: one file per verb. torch is imported by the verbs that need it, when they run."""
