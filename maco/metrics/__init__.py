"""How good visualizations are: near photographs, seen alike by other networks, natural in spectrum.

Each module is one kind of measurement; none of them draws a figure or writes a file.
"""
