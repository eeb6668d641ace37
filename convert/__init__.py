"""From a finished run to one .tflite file; the only package that imports TensorFlow."""
