"""Export of a JAX model to a TensorFlow Lite flatbuffer."""
