"""The likelihood of a binomial mixed model by the Laplace approximation, and its maximum.

The random effects are b = Λ(θ) u with u standard normal. Given θ and β the conditional modes of u
come from penalised iteratively reweighted least squares; the deviance and its exact gradient in
(θ, β) follow (Bates et al. 2015, J. Stat. Softw. 67(1), for the model and its notation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_DECREMENT = 1e-20  # the log-determinant is first order in u's error: looser spoils differences
_PIRLS_STEPS = 100


@dataclass(frozen=True)
class Block:
    """A grouping factor: row values `z` (n, p), row levels `codes` (n,), `free` entries of Λ."""

    z: Floats
    codes: Ints
    levels: int
    free: NDArray[np.bool_]

    @property
    def effects(self) -> int:
        """Random effects a level has."""
        return int(self.z.shape[1])

    @property
    def size(self) -> int:
        """Random effects in all."""
        return self.levels * self.effects

    @property
    def parameters(self) -> int:
        """Entries of Λ to estimate."""
        return int(self.free.sum())

    def factor(self, theta: Floats) -> Floats:
        """Λ (p, p) with `theta` in its free entries, column by column as lme4 orders them."""
        factor = np.zeros((self.effects, self.effects))
        factor.T[self.free.T] = theta
        return factor


@dataclass(frozen=True)
class Inverse:
    """Parts of (Λ'Z'WZΛ + I)⁻¹ for the first factor and the `rest`, and its log-determinant.

    `first` (levels, p, p) holds the blocks on the diagonal only.
    """

    own: Floats
    ratio: Floats
    rest: Floats
    logdet: float

    @property
    def cross(self) -> Floats:
        """Rows of the first factor, columns of the rest."""
        cross: Floats = -self.ratio @ self.rest
        return cross

    @property
    def first(self) -> Floats:
        """Blocks on the diagonal of the first factor."""
        levels, effects, _ = self.own.shape
        ratio = self.ratio.reshape(levels, effects, -1)
        mixed = (self.ratio @ self.rest).reshape(levels, effects, -1)
        return self.own + mixed @ ratio.transpose(0, 2, 1)

    def solve(self, r: Floats) -> Floats:
        """The inverse times a vector."""
        levels, effects, _ = self.own.shape
        split = levels * effects
        rest = self.rest @ (r[split:] - self.ratio.T @ r[:split])
        own = (self.own @ r[:split].reshape(levels, effects, 1)).ravel()
        return np.concatenate([own - self.ratio @ rest, rest])


@dataclass(frozen=True)
class State:
    """The conditional modes `u` at some (θ, β), and what was computed on the way."""

    u: Floats
    eta: Floats
    factors: list[Floats]
    products: tuple[Floats, Floats, Floats]
    inverse: Inverse
    deviance: float


class Laplace:
    """The deviance of (θ, β), -2 log-likelihood less its binomial constant, and its gradient.

    `successes` of `trials` (n,), fixed effects `x` (n, p). The largest factor is eliminated block
    by block; the others are dense.
    """

    def __init__(
        self, successes: Floats, trials: Floats, x: Floats, blocks: Sequence[Block]
    ) -> None:
        self.y, self.m, self.x = successes, trials, x
        self.order = sorted(range(len(blocks)), key=lambda i: -blocks[i].size)
        self.blocks = [blocks[i] for i in self.order]
        self.starts = np.cumsum([0, *(block.size for block in self.blocks)])
        self.z = self._sparse_z()
        self.zt = self.z.T.tocsr()
        self.gram = self._sparse_gram()
        self.gram_t = self.gram.T.tocsr()
        self.u = np.zeros(self.z.shape[1])

    @property
    def parameters(self) -> int:
        """Entries of θ."""
        return sum(block.parameters for block in self.blocks)

    def factors(self, theta: Floats) -> list[Floats]:
        """Λ of each block, in the engine's order."""
        cuts = np.cumsum([block.parameters for block in self.blocks])[:-1]
        parts = np.split(theta, cuts)
        return [block.factor(part) for block, part in zip(self.blocks, parts, strict=True)]

    def _row_columns(self) -> tuple[Ints, Floats]:
        """Each row's non-zero columns of Z, (n, effects of all blocks), and their values."""
        columns = [
            start + block.codes[:, None] * block.effects + np.arange(block.effects)
            for block, start in zip(self.blocks, self.starts[:-1], strict=True)
        ]
        return np.hstack(columns), np.hstack([block.z for block in self.blocks])

    def _sparse_z(self) -> sparse.csr_array:
        columns, values = self._row_columns()
        rows, width = columns.shape
        pointers = np.arange(0, rows * width + 1, width)
        shape = (rows, int(self.starts[-1]))
        return sparse.csr_array((values.ravel(), columns.ravel(), pointers), shape=shape)

    def _sparse_gram(self) -> sparse.csr_array:
        """The matrix that turns weights (n,) into the entries of Z'WZ that are kept."""
        columns, values = self._row_columns()
        first, split = self.blocks[0], int(self.starts[1])
        p, rest = first.effects, int(self.starts[-1]) - split
        own, others = columns[:, :p], columns[:, p:] - split
        shifts = (0, split * p, split * p + split * rest)
        entries = [
            own[:, :, None] * p + np.arange(p),
            shifts[1] + own[:, :, None] * rest + others[:, None, :],
            shifts[2] + others[:, :, None] * rest + others[:, None, :],
        ]
        pairs = ((slice(p), slice(p)), (slice(p), slice(p, None)), (slice(p, None),) * 2)
        products = [values[:, a, None] * values[:, None, b] for a, b in pairs]
        rows = len(values)
        index = np.hstack([entry.reshape(rows, -1) for entry in entries])
        value = np.hstack([product.reshape(rows, -1) for product in products])
        pointers = np.arange(0, index.size + 1, index.shape[1])
        shape = (rows, shifts[2] + rest * rest)
        by_row = sparse.csr_array((value.ravel(), index.ravel(), pointers), shape=shape)
        return by_row.T.tocsr()

    def _spread(self, factors: list[Floats], u: Floats, transpose: bool = False) -> Floats:
        """Λu, or Λ'u."""
        pieces = []
        for i, factor in enumerate(factors):
            part = u[self.starts[i] : self.starts[i + 1]].reshape(-1, len(factor))
            pieces.append((part @ (factor if transpose else factor.T)).ravel())
        return np.concatenate(pieces)

    def _right(self, matrix: Floats, factors: list[Floats], transpose: bool = False) -> Floats:
        """`matrix` (r, size of the blocks after the first) times their Λ, or Λ'."""
        out = np.empty_like(matrix)
        for i, factor in enumerate(factors[1:], start=1):
            span = slice(self.starts[i] - self.starts[1], self.starts[i + 1] - self.starts[1])
            part = matrix[:, span].reshape(len(matrix), -1, len(factor))
            out[:, span] = (part @ (factor.T if transpose else factor)).reshape(len(matrix), -1)
        return out

    def _products(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """Z'WZ: blocks of the first factor, first by rest, rest by rest."""
        p, split = self.blocks[0].effects, int(self.starts[1])
        rest = int(self.starts[-1]) - split
        entries: Floats = self.gram @ weights
        a, b = split * p, split * p + split * rest
        return (
            entries[:a].reshape(-1, p, p),
            entries[a:b].reshape(split, rest),
            entries[b:].reshape(rest, rest),
        )

    def _invert(self, products: tuple[Floats, Floats, Floats], factors: list[Floats]) -> Inverse:
        own, cross, rest = products
        first = factors[0]
        p = len(first)
        own = first.T @ own @ first + np.eye(p)
        cross = self._right(cross, factors)
        cross = (first.T @ cross.reshape(len(own), p, -1)).reshape(cross.shape)
        rest = self._right(self._right(rest, factors).T, factors) + np.eye(len(rest))
        inverse = _inverse(own)
        ratio = (inverse @ cross.reshape(len(own), p, -1)).reshape(cross.shape)
        rest = rest - cross.T @ ratio
        root = np.linalg.cholesky(rest)
        logdet = np.linalg.slogdet(own)[1].sum() + 2 * np.log(np.diag(root)).sum()
        return Inverse(inverse, ratio, _inverse(rest), float(logdet))

    def conditional_modes(self, theta: Floats, beta: Floats) -> State:
        """The modes of u given (θ, β), by Newton steps with step halving."""
        factors, fixed = self.factors(theta), self.x @ beta
        u = self.u
        eta = fixed + self.z @ self._spread(factors, u)
        penalised = self._penalised(eta, u)
        previous = np.inf
        for _ in range(_PIRLS_STEPS):
            p = expit(eta)
            score = self._spread(factors, self.zt @ (self.y - self.m * p), transpose=True) - u
            products = self._products(self.m * p * (1 - p))
            inverse = self._invert(products, factors)
            step = inverse.solve(score)
            decrement = float(score @ step)
            if decrement < _DECREMENT or (decrement < 1e-14 and decrement >= previous):
                break
            previous = decrement
            move = self.z @ self._spread(factors, step)
            size = 1.0
            while size > 1e-6:
                trial = self._penalised(eta + size * move, u + size * step)
                if trial <= penalised + 1e-10 * abs(penalised):
                    break
                size /= 2
            u, eta, penalised = u + size * step, eta + size * move, trial
        self.u = u
        return State(u, eta, factors, products, inverse, penalised + inverse.logdet)

    def _penalised(self, eta: Floats, u: Floats) -> float:
        return float(2 * (self.m @ np.logaddexp(0, eta) - self.y @ eta) + u @ u)

    def deviance_and_gradient(self, theta: Floats, beta: Floats) -> tuple[float, Floats]:
        """The deviance at (θ, β) and its exact derivative by θ, then β."""
        state = self.conditional_modes(theta, beta)
        p = expit(state.eta)
        residual = self.y - self.m * p
        weights = self.m * p * (1 - p)
        bend = self.leverages(state) * weights * (1 - 2 * p)
        pull = state.inverse.solve(self._spread(state.factors, self.zt @ bend, transpose=True))
        by_eta = bend - 2 * residual - weights * (self.z @ self._spread(state.factors, pull))
        by_theta = self._theta_gradient(state, by_eta, residual, pull)
        return state.deviance, np.concatenate([by_theta, self.x.T @ by_eta])

    def leverages(self, state: State) -> Floats:
        """z_i'Λ H⁻¹ Λ'z_i of each row (n,)."""
        first, cross, rest = self.covariances(state)
        leverages: Floats = self.gram_t @ np.concatenate(
            [first.ravel(), 2 * cross.ravel(), rest.ravel()]
        )
        return leverages

    def covariances(self, state: State) -> tuple[Floats, Floats, Floats]:
        """Λ H⁻¹ Λ', the conditional covariance of b: first blocks, first by rest, rest."""
        factors, inverse = state.factors, state.inverse
        first = factors[0] @ inverse.first @ factors[0].T
        cross = self._right(inverse.cross, factors, transpose=True)
        cross = (factors[0] @ cross.reshape(len(first), len(factors[0]), -1)).reshape(cross.shape)
        rest = self._right(self._right(inverse.rest, factors, True).T, factors, True)
        return first, cross, rest

    def _theta_gradient(
        self, state: State, by_eta: Floats, residual: Floats, pull: Floats
    ) -> Floats:
        slopes, scores = self.zt @ by_eta, self.zt @ residual
        pieces = []
        for i, (block, trace) in enumerate(zip(self.blocks, self._traces(state), strict=True)):
            span = slice(self.starts[i], self.starts[i + 1])
            shape = (block.levels, block.effects)
            slope, score = slopes[span].reshape(shape), scores[span].reshape(shape)
            by_factor = slope.T @ state.u[span].reshape(shape)
            by_factor = by_factor + score.T @ pull[span].reshape(shape) + 2 * trace
            pieces.append(by_factor.T[block.free.T])
        return np.concatenate(pieces)

    def _traces(self, state: State) -> list[Floats]:
        """For each block, the sum over levels of (Z'WZ Λ H⁻¹) on the diagonal (p, p)."""
        factors, inverse = state.factors, state.inverse
        own, cross, rest = state.products
        levels, p, _ = own.shape
        weighted = self._right(cross, factors)
        shape = (levels, p, -1)
        traces = [
            np.einsum("lab,lbc->ac", own @ factors[0], inverse.first)
            + np.einsum("lar,lbr->ab", weighted.reshape(shape), inverse.cross.reshape(shape))
        ]
        if cross.size:
            left = (factors[0].T @ cross.reshape(shape)).reshape(cross.shape)
            both = left.T @ inverse.cross + self._right(rest, factors) @ inverse.rest
            for i, factor in enumerate(factors[1:], start=1):
                span = slice(self.starts[i] - self.starts[1], self.starts[i + 1] - self.starts[1])
                traces.append(_diagonal(both[span, span], len(factor)))
        return traces


def _inverse(matrices: Floats) -> Floats:
    inverse: Floats = np.linalg.inv(matrices).astype(np.float64, copy=False)
    return inverse


def _diagonal(matrix: Floats, size: int) -> Floats:
    """The sum of the blocks (size, size) on the diagonal."""
    blocks = matrix.reshape(len(matrix) // size, size, -1, size)
    total: Floats = np.einsum("lalb->ab", blocks)
    return total
