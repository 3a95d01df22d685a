"""The largest curvature of a quadratic loss 0.5 w'Hw as a function of theta, w = A theta.

With scaling s it is lambda_max(S^-1/2 A'HA S^-1/2), for an H whose own largest eigenvalue is 1.
Gradient descent on theta, with the gradient divided by s, is stable up to a step of 2 / lambda_max
(Desai and Shrivastava 2024, section 5).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct, idct
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import LinearOperator, eigsh

from rps_bench.core.seeds import derive_key
from rps_bench.methods.scaling import gradient_scale
from rps_bench.methods.weight_map import WeightMap

Vector = NDArray[np.float64]

TOLERANCE = 1e-10  # relative, of an eigenvalue computed by Lanczos iteration
FEW_SLOTS = 32  # up to this size the matrix is computed explicitly


def scaled_matrix(weight_map: WeightMap, scaling: str) -> csr_array:
    """The sparse (n, m) matrix A S^-1/2 in float64."""
    scale = gradient_scale(weight_map, scaling).numpy()
    place = np.arange(weight_map.num_weights), weight_map.slots().numpy()
    shape = weight_map.num_weights, weight_map.num_stored
    matrix = csr_array((weight_map.coefficients().numpy(), place), shape=shape)
    return csr_array(matrix @ diags_array(scale**-0.5))


def isotropic_curvature(scaled: csr_array, decay: float, seed: int) -> float:
    """The curvature for H = I, max_j gram_j / s_j (A'A is diagonal); no H of norm 1 has more."""
    return float(scaled.power(2).sum(axis=0).max())


def power_law_curvature(scaled: csr_array, decay: float, seed: int) -> float:
    """The curvature for an H with eigenvalues 1, 2^-decay, 3^-decay, ... in random directions."""
    n, m = scaled.shape
    multiply = power_law(n, decay, seed)
    if m <= FEW_SLOTS:
        # Too few columns for Lanczos iteration: all eigenvalues of the explicit matrix instead.
        columns = [scaled.T @ multiply(column) for column in scaled.toarray().T]
        return float(np.linalg.eigvalsh(np.stack(columns))[-1])
    operator = LinearOperator((m, m), lambda v: scaled.T @ multiply(scaled @ v), dtype=float)
    start = np.random.default_rng(seed).standard_normal(m)
    found = eigsh(operator, 1, which="LA", v0=start, tol=TOLERANCE, return_eigenvectors=False)
    return float(found[0])


def power_law(n: int, decay: float, seed: int) -> Callable[[Vector], Vector]:
    """The product w -> Hw with H = Q'DQ, D = diag(1, 2^-decay, ..., n^-decay).

    Q is two rounds of random signs followed by a cosine transform: it is orthogonal, spreads every
    eigenvector over all weights, and costs n log n operations instead of a matrix of n^2 numbers.
    """
    eigenvalues = np.arange(1, n + 1, dtype=float) ** -decay
    generator = np.random.default_rng(derive_key(seed, "curvature") % 2**63)
    first, second = generator.choice([-1.0, 1.0], (2, n))

    def multiply(w: Vector) -> Vector:
        # Q w, then Q' applied to D Q w: the inverse transforms and the same signs, in reverse
        # order.
        rotated = dct(second * dct(first * w.ravel(), norm="ortho"), norm="ortho")
        back = second * idct(eigenvalues * rotated, norm="ortho")
        return np.asarray(first * idct(back, norm="ortho"))

    return multiply


CURVATURES: dict[str, Callable[[csr_array, float, int], float]] = {
    "isotropic": isotropic_curvature,
    "power_law": power_law_curvature,
}
