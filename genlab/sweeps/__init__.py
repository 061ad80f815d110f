"""Many trainings, each a process of its own: ``genlab sweep`` and ``genlab tune``.

A ``Point`` is the words of one training. An ``Attempt`` is the process that trains it, and says in an
``Outcome`` how it ended. A ``Bench`` is the directory in which all of that lies, with a record that is
whole at every moment. A launcher decides where and when points are attempted, a study which there are.

Nothing here imports torch: the processes do.
"""
