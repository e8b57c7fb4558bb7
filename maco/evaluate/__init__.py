"""The paper's tables and figures on any networks: whose visualizations are better, and why.

Renders every class with every method, measures each picture, and sums up with intervals. A package
so that `python -m maco.evaluate` is a command; each module is one stage of it.
"""
