"""The runtime for applications in Python. It needs one .tflite file and nothing else of a run.

    from jaxrec.runtime import Recommender

    recommender = Recommender.load("model.tflite")
    for each in recommender.recommend([1193, 661, 914], k=5):
        print(each.item, each.title, each.score)

It requires NumPy and ai-edge-litert, but neither JAX nor TensorFlow.
"""

from jaxrec.runtime.features import InputFeature
from jaxrec.runtime.recommendation import Rating, Recommendation
from jaxrec.runtime.recommender import Recommender
from jaxrec.runtime.user_adapter import Adapter

__all__ = ["Adapter", "InputFeature", "Rating", "Recommendation", "Recommender"]
