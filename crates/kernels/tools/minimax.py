#!/usr/bin/env python3
"""Minimax polynomials of `kernels::math`: prints the coefficients that stand in its files (needs mpmath).

Each function is fitted by Remez' exchange on a grid so that the largest weighted error is least; the error printed is
that of the coefficients rounded to f32.
"""
from struct import pack, unpack

from mpmath import cos, erf, erfc, exp, expm1, linspace, log, log1p, lu_solve, matrix, mp, mpf, pi, polyval, sin, sqrt

mp.dps = 40


def f32(x):
    return mpf(unpack("f", pack("f", float(x)))[0])


def remez(points, values, weights, degree):
    """Coefficients of the polynomial with the least largest |weight * (value - polynomial)|."""
    n = degree + 1
    # The extrema of a Chebyshev polynomial are near those that we look for.
    chosen = [round((1 - cos(pi * i / n)) / 2 * (len(points) - 1)) for i in range(n + 1)]
    for _ in range(40):
        a, b = matrix(n + 1, n + 1), matrix(n + 1, 1)
        for row, i in enumerate(chosen):
            for power in range(n):
                a[row, power] = points[i] ** power
            a[row, n] = (-1) ** row / weights[i]
            b[row] = values[i]
        *coefficients, level = lu_solve(a, b)
        errors = [w * (v - polyval(coefficients[::-1], x)) for x, v, w in zip(points, values, weights)]
        # The largest error of every stretch of one sign.
        peaks = []
        for i, error in enumerate(errors):
            if not peaks or (error > 0) != (errors[peaks[-1]] > 0):
                peaks.append(i)
            elif abs(error) > abs(errors[peaks[-1]]):
                peaks[-1] = i
        assert len(peaks) >= n + 1, "an error that alternates"
        while len(peaks) > n + 1:
            peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
        if max(map(abs, errors)) < abs(level) * mpf("1.001"):
            break
        chosen = peaks
    return coefficients


def fit(name, function, weight, low, high, degree, count=800):
    """Prints coefficients in f32 of the polynomial next to `function` on [low, high], lowest power first."""
    points = [x for x in linspace(mpf(low), mpf(high), count) if x != 0]
    values, weights = [function(x) for x in points], [weight(x) for x in points]
    rounded = [f32(c) for c in remez(points, values, weights, degree)]
    error = max(abs(w * (v - polyval(rounded[::-1], x))) for x, v, w in zip(points, values, weights))
    print(f"{name}: weighted error {float(error):.2e} = 2^{float(log(error, 2)):.1f}")
    for coefficient in rounded:
        print(f"    {float(coefficient)!r}")


if __name__ == "__main__":
    half = log(mpf(2)) / 2 * mpf("1.001")
    fit("exp(r) = 1 + r + r² P(r)", lambda r: (expm1(r) - r) / r**2, lambda r: r**2 / exp(r), -half, half, 4)
    fit("expm1(r) = r + r² P(r)", lambda r: (expm1(r) - r) / r**2, lambda r: r**2 / expm1(r), -half, half, 5)
    fit(
        "ln(1 + f) = f - f²/2 + f³ P(f)",
        lambda f: (log1p(f) - f + f**2 / 2) / f**3,
        lambda f: f**3 / log1p(f),
        sqrt(mpf(1) / 2) - 1,
        sqrt(mpf(2)) - 1,
        7,
    )
    border = mpf("0.9")
    fit(
        "erf(x) = x + x P(x²)",
        lambda z: erf(sqrt(z)) / sqrt(z) - 1,
        lambda z: sqrt(z) / erf(sqrt(z)),
        mpf("1e-9"),
        border**2,
        6,
    )
    # An error d of the exponent changes erf(x) by erfc(x) d.
    fit(
        "erfc(x) = exp(x P(x))",
        lambda x: log(erfc(x)) / x,
        lambda x: x * erfc(x) / erf(x),
        border,
        mpf("3.95"),
        6,
    )
    eighth = mpf(1) / 64
    fit(
        "sin(2πr) = r (2π + r² P(r²))",
        lambda z: (sin(2 * pi * sqrt(z)) / sqrt(z) - 2 * pi) / z,
        lambda z: z * sqrt(z) / sin(2 * pi * sqrt(z)),
        mpf("1e-9"),
        eighth,
        2,
    )
    fit(
        "cos(2πr) = 1 + r² P(r²)",
        lambda z: (cos(2 * pi * sqrt(z)) - 1) / z,
        lambda z: z / cos(2 * pi * sqrt(z)),
        mpf("1e-9"),
        eighth,
        3,
    )
