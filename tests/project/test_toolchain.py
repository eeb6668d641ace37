"""JAX and TensorFlow installed together: a small function is converted and runs in LiteRT."""

import subprocess
import sys

import pytest

pytest.importorskip("tensorflow", reason="needs the extra convert")

# Run in a new process: TensorFlow warns on import and has effects on its whole process.
SCRIPT = """
import jax.numpy as jnp, numpy as np, tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from jax.experimental import jax2tf
import litert_quantizer

table = np.arange(12, dtype=np.float32).reshape(4, 3)
function = tf.function(
    jax2tf.convert(lambda x: jnp.tanh(x @ table), with_gradient=False),
    input_signature=[tf.TensorSpec((1, 4), tf.float32)],
    autograph=False,
)
converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
interpreter = Interpreter(model_content=converter.convert())
interpreter.allocate_tensors()
x = np.array([[0.1, -0.2, 0.3, 0.0]], np.float32)
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
interpreter.invoke()
got = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
np.testing.assert_allclose(got, np.tanh(x @ table), atol=1e-6)
"""


def test_litert_computes_a_converted_jax_function():
    words = [sys.executable, "-W", "error::DeprecationWarning", "-W", "error::FutureWarning"]
    process = subprocess.run([*words, "-c", SCRIPT], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
