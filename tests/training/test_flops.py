"""FLOPs of matrix products, compared with counts by hand."""

import jax
import jax.numpy as jnp
import pytest

from jaxrec.training.flops import matmul_flops

A, B = jnp.zeros((3, 4)), jnp.zeros((4, 5))


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        (lambda a, b: a @ b, 2 * 3 * 4 * 5),
        (lambda a, b: jnp.sin(a).sum() + b.sum(), 0),
        (jax.jit(lambda a, b: (a @ b) + (a @ b)), 2 * 2 * 3 * 4 * 5),
        (lambda a, b: jnp.einsum("nab,bc->nac", a[None], b), 2 * 3 * 4 * 5),
        # The forward pass, and the gradients by either factor.
        (jax.grad(lambda a, b: (a @ b).sum(), argnums=(0, 1)), 3 * 2 * 3 * 4 * 5),
    ],
)
def test_a_multiply_add_counts_as_two_operations(function, flops):
    assert matmul_flops(function, A, B) == flops


def test_a_loop_body_counts_once_per_iteration():
    def loop(a):
        return jax.lax.scan(lambda x, _: (x @ jnp.ones((4, 4)), None), a, length=7)[0]

    assert matmul_flops(loop, A) == 7 * 2 * 3 * 4 * 4
