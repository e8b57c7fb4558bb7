"""Machine observers: what the trials of a study will be like, before anyone is paid.

`stimuli.observers.table` reads what they answered and loads nothing heavier than pydantic.
"""
