"""Taylor series of the functions of scipy.special, in forms that lose no digits.

As in `mcx.series`, ``series(a, y, n)`` takes the value a, y = f(a) as SciPy computed it, and an
order n ≥ 1, and returns [f'(a), f''(a)/2!, …, f⁽ⁿ⁾(a)/n!]; parameters of the function follow n.
Where a recurrence would cancel, the coefficients are moments of a positive weight instead.
`mcx.rules.special` says which function has which series.
"""
