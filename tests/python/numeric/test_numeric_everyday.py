"""Programs as data people write them do under `@jit` what they do without it."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import flowc

rng = np.random.default_rng(11)


def rolling_mean(x, w):
    c = np.cumsum(np.insert(x, 0, 0.0))
    return (c[w:] - c[:-w]) / float(w)


def kmeans_step(x, centres):
    d = ((x[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
    labels = d.argmin(axis=1)
    new = np.zeros_like(centres)
    for k in range(centres.shape[0]):
        mask = labels == k
        new[k] = x[mask].mean(axis=0) if mask.any() else centres[k]
    return labels, new, d[np.arange(x.shape[0]), labels].sum()


def power_iteration(x, start, rounds):
    centred = x - x.mean(axis=0)
    covariance = centred.T @ centred / (x.shape[0] - 1)
    v = start / np.linalg.norm(start)
    for _ in range(rounds):
        v = covariance @ v
        v /= np.linalg.norm(v)
    return v @ covariance @ v, v


def black_scholes(spot, strike, years, rate, sigma):
    d1 = (np.log(spot / strike) + (rate + 0.5 * sigma**2) * years) / (sigma * np.sqrt(years))
    d2 = d1 - sigma * np.sqrt(years)

    def cdf(x):
        t = 1.0 / (1.0 + 0.2316419 * np.abs(x))
        poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * -1.821255978)))
        p = 1 - np.exp(-x * x / 2) / np.sqrt(2 * np.pi) * poly
        return np.where(x >= 0, p, 1 - p)

    discount = strike * np.exp(-rate * years)
    return spot * cdf(d1) - discount * cdf(d2), discount * cdf(-d2) - spot * cdf(-d1)


def mandelbrot(width, height, rounds):
    cr, ci = np.meshgrid(np.linspace(-2, 1, width), np.linspace(-1, 1, height))
    zr, zi = np.zeros_like(cr), np.zeros_like(ci)
    count = np.zeros(cr.shape, dtype=int)
    for _ in range(rounds):
        zr2, zi2 = zr * zr, zi * zi
        inside = zr2 + zi2 <= 4.0
        count[inside] += 1
        zi = np.where(inside, 2 * zr * zi + ci, zi)
        zr = np.where(inside, zr2 - zi2 + cr, zr)
    return count


def life(g):
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    n = sum(np.roll(np.roll(g, dy, 0), dx, 1) for dy, dx in shifts)
    return ((n == 3) | ((g == 1) & (n == 2))).astype(int)


def bodies(position, velocity, mass, dt, steps):
    for _ in range(steps):
        d = position[None, :, :] - position[:, None, :]
        r2 = (d**2).sum(-1) + 1e-3
        np.fill_diagonal(r2, 1.0)
        velocity = velocity + (d * (mass[None, :] / r2**1.5)[:, :, None]).sum(1) * dt
        position = position + velocity * dt
    return position, 0.5 * np.sum(mass * np.sum(velocity**2, axis=1))


def hsv_to_rgb(hsv):
    h, s, v = hsv.T
    i = np.floor(h * 6.0).astype(int) % 6
    f = h * 6.0 - np.floor(h * 6.0)
    p, q, t = v * (1.0 - s), v * (1.0 - s * f), v * (1.0 - s * (1.0 - f))
    red = np.choose(i, [v, q, p, p, t, v])
    green = np.choose(i, [t, v, v, q, p, p])
    blue = np.choose(i, [p, p, t, v, v, q])
    return np.dstack([red, green, blue]).reshape(-1, 3)


def viterbi(initial, transitions, emissions, seen):
    delta = np.zeros((len(seen), len(initial)))
    back = np.zeros((len(seen), len(initial)), dtype=int)
    delta[0] = np.log(initial) + np.log(emissions[:, seen[0]])
    for t in range(1, len(seen)):
        score = delta[t - 1][:, None] + np.log(transitions)
        back[t] = score.argmax(axis=0)
        delta[t] = score.max(axis=0) + np.log(emissions[:, seen[t]])
    path = np.zeros(len(seen), dtype=int)
    path[-1] = np.argmax(delta[-1])
    for t in range(len(seen) - 2, -1, -1):
        path[t] = back[t + 1, path[t + 1]]
    return path, delta[-1].max()


def kalman(measured, dt):
    step = np.array([[1, 0, dt, 0], [0, 1, 0, dt], [0, 0, 1, 0], [0, 0, 0, 1]])
    sees = np.array([[1, 0, 0, 0], [0, 1, 0, 0]])
    x, spread = np.zeros(4), np.eye(4)
    out = np.zeros((len(measured), 4))
    for i, z in enumerate(measured):
        x = step @ x
        spread = step @ spread @ step.T + np.eye(4) * 1e-3
        gain = spread @ sees.T @ np.linalg.inv(sees @ spread @ sees.T + np.eye(2) * 0.1)
        x = x + gain @ (z - sees @ x)
        spread = (np.eye(4) - gain @ sees) @ spread
        out[i] = x
    return out


def run_lengths(x):
    starts = np.r_[0, np.flatnonzero(np.diff(x)) + 1]
    return x[starts], np.diff(np.append(starts, x.size))


def sieve(n):
    p = np.ones(n + 1, dtype=bool)
    p[:2] = False
    for i in range(2, int(n**0.5) + 1):
        if p[i]:
            p[i * i :: i] = False
    return np.nonzero(p)[0]


def suppress(boxes, scores, threshold):
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    keep, dead = np.zeros(len(scores), dtype=bool), np.zeros(len(scores), dtype=bool)
    for i in scores.argsort()[::-1]:
        if dead[i]:
            continue
        keep[i] = True
        low, high = np.maximum(boxes[i, :2], boxes[:, :2]), np.minimum(boxes[i, 2:], boxes[:, 2:])
        shared = np.prod(np.maximum(0.0, high - low), axis=1)
        dead |= shared / (area[i] + area - shared) > threshold
    return np.where(keep)[0]


def rank_correlation(x, y):
    ranks = [each.argsort().argsort() for each in (x, y)]
    return np.corrcoef(x, y)[0, 1], np.corrcoef(*ranks)


def counts(a):
    values, number = np.unique(a, return_counts=True)
    return values, number, values[number > 12]


def chained(a, b, c):
    return np.einsum("ij,jk,kl->il", a, b, c), np.einsum("i,ij,j->", a[:, 0], a, a[0])


PROGRAMS: list[tuple[Callable[..., Any], Sequence[Any]]] = [
    (rolling_mean, (rng.normal(size=50), 7)),
    (kmeans_step, (rng.normal(size=(60, 4)), rng.normal(size=(5, 4)))),
    (power_iteration, (rng.normal(size=(50, 6)), rng.normal(size=6), 20)),
    (black_scholes, (rng.uniform(50, 150, 40), rng.uniform(50, 150, 40), rng.random(40), 0.05, 0.2)),
    (mandelbrot, (40, 30, 50)),
    (life, (rng.integers(0, 2, (20, 30)),)),
    (bodies, (rng.normal(size=(9, 3)), rng.normal(size=(9, 3)), rng.random(9), 0.01, 6)),
    (hsv_to_rgb, (rng.random((50, 3)),)),
    (viterbi, (rng.random(4), rng.random((4, 4)), rng.random((4, 6)), rng.integers(0, 6, 20))),
    (kalman, (rng.normal(size=(30, 2)), 0.1)),
    (run_lengths, (rng.integers(0, 3, 50),)),
    (sieve, (200,)),
    (suppress, (np.add(rng.random((30, 2)).repeat(2, axis=1), [0, 1, 1, 2]), rng.random(30), 0.5)),
    (rank_correlation, (rng.normal(size=30), rng.normal(size=30))),
    (counts, (rng.integers(0, 9, 100),)),
    (chained, (rng.normal(size=(4, 4)), rng.normal(size=(4, 5)), rng.normal(size=(5, 2)))),
]


def _parts(value: Any) -> list[Any]:
    return [part for each in value for part in _parts(each)] if isinstance(value, tuple) else [value]


@pytest.mark.parametrize(("program", "arguments"), PROGRAMS, ids=lambda item: getattr(item, "__name__", ""))
def test_a_program_gives_what_it_gives_without_the_decorator(
    program: Callable[..., Any], arguments: Sequence[Any]
) -> None:
    expected = _parts(program(*copy.deepcopy(arguments)))
    got = _parts(flowc.jit(program)(*copy.deepcopy(arguments)))
    for want, have in zip(expected, got, strict=True):
        assert np.asarray(have).dtype == np.asarray(want).dtype
        assert np.shape(have) == np.shape(want)
        np.testing.assert_allclose(have, want, rtol=1e-9, atol=1e-12)
