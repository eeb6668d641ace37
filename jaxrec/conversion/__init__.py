"""From a finished run to one .tflite file; TensorFlow is imported in `graph` alone."""
