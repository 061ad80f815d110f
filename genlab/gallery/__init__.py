"""Pictures and pages of runs. Reads run directories and knows no model.

| file | does |
|---|---|
| ``drawing`` | figures and samples as picture files (``pixels``, ``plane``, ``heat``, ``encode``) |
| ``completions`` | completions, with what was observed in a colour of its own |
| ``store`` | writes pictures into a run directory |
| ``view`` | reads what a page shows of a run (``curves``, ``scores``, ``words``) |
| ``page`` | writes the gallery |
| ``tables`` | writes compared scores as text |

Only ``drawing``, ``completions`` and ``store`` need torch.
"""
