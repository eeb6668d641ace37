"""Conversion of a finished run to a .tflite file; only `graph` imports TensorFlow."""
