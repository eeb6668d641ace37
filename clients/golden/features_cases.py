"""The cases of features.tflite: features of activities, users and moments, and ratings."""

from clients.golden.case import accepted, refused

_WATCHED = ["F03", "F04", "F05"]
_DEVICES = ["phone", "tv", "web"]
_PRICES = [3.5, 40, 88.25]
_AGES = [90_000, 3_600, 12]
_MOMENT = {"hour": 20, "weekday": 6}
_FULL = {"device": _DEVICES, "price": _PRICES, "age": _AGES, "user_country": "FR", **_MOMENT}

FEATURES = [
    accepted("recommend", "all features", items=_WATCHED, k=5, features=_FULL),
    accepted("recommend", "no features", items=_WATCHED, k=5),
    accepted(
        "recommend", "a feature of activities", items=_WATCHED, k=5, features={"device": _DEVICES}
    ),
    accepted("recommend", "a number", items=_WATCHED, k=5, features={"price": _PRICES}),
    accepted("recommend", "ages in seconds", items=_WATCHED, k=5, features={"age": _AGES}),
    accepted(
        "recommend", "a feature of the user", items=_WATCHED, k=5, features={"user_country": "JP"}
    ),
    accepted("recommend", "features of the moment", items=_WATCHED, k=5, features=_MOMENT),
    accepted(
        "recommend",
        "null is unknown",
        items=_WATCHED,
        k=5,
        features={
            "device": ["phone", None, "web"],
            "price": [None, 40, None],
            "age": [None, 3_600, 12],
            "user_country": None,
            "hour": None,
            "weekday": 1,
        },
    ),
    accepted(
        "recommend",
        "new values are unknown",
        items=_WATCHED,
        k=5,
        features={"device": ["watch", "tv", ""], "user_country": "XX", "hour": 24, "weekday": 0},
    ),
    accepted(
        "recommend",
        "numbers out of range",
        items=_WATCHED,
        k=5,
        features={"price": [-1e9, 1e30, 1e39], "age": [1e12, 0.5, -3]},
    ),
    accepted(
        "recommend",
        "a history longer than N",
        items=["F20", "F21", "F22", *_WATCHED],
        k=6,
        features={"device": [*_DEVICES, *_DEVICES[::-1]], "age": [9e6, 8e6, 7e5, 6e4, 5e3, 60]},
    ),
    accepted(
        "recommend",
        "values of unknown items are skipped",
        items=["Z1", "F03", "Z2", "F04"],
        k=5,
        features={"device": ["web", "phone", "web", "tv"], "price": [1, 2, 3, 70]},
    ),
    accepted(
        "recommend",
        "an empty history",
        items=[],
        k=5,
        features={"device": [], "user_country": "DE", "hour": 7},
    ),
    accepted("recommend", "k is beyond the file's list", items=_WATCHED, k=14, features=_FULL),
    accepted(
        "recommend",
        "candidates",
        items=_WATCHED,
        k=3,
        features=_FULL,
        candidates=["F01", "F09", "F16", "F24"],
    ),
    accepted(
        "recommend",
        "popular for unknown items",
        items=["Z1", "Z2"],
        k=5,
        features={"device": ["tv", "web"], "user_country": "JP"},
        unknown="popular",
    ),
    refused("recommend", "a feature of no name", items=["F03"], k=5, features={"color": ["red"]}),
    refused("recommend", "too few values", items=_WATCHED, k=5, features={"price": [1, 2]}),
    refused("recommend", "one value for each item", items=_WATCHED, k=5, features={"price": 1}),
    refused("recommend", "a list for a user", items=[], k=5, features={"user_country": ["DE"]}),
    refused("recommend", "text is no number", items=["F03"], k=5, features={"price": ["cheap"]}),
    refused("recommend", "text is no age", items=["F03"], k=5, features={"age": ["old"]}),
    refused("recommend", "a string is no list", items=["F03"], k=5, features={"device": "tv"}),
    accepted(
        "recommend_many",
        "features for each history",
        histories=[_WATCHED, [], ["F12"]],
        k=4,
        features=[_FULL, {"user_country": "DE"}, {"price": [7.25]}],
    ),
    accepted(
        "recommend_many",
        "popular for unknown items",
        histories=[["Z1"], _WATCHED],
        k=4,
        features=[{"user_country": "FR"}, {}],
        unknown="popular",
    ),
    refused("recommend_many", "too few features", histories=[["F03"], []], k=4, features=[{}]),
    accepted("similar", "similar items", item="F03", k=4),
    accepted(
        "score",
        "scores of candidates",
        items=_WATCHED,
        features=_FULL,
        candidates=["F06", "Z1", "F20"],
    ),
    accepted("encode", "the query of a history", items=_WATCHED, features=_FULL),
    accepted("encode", "the query of a user", items=[], features={"user_country": "FR"}),
    accepted("rate", "ratings of candidates", items=_WATCHED, candidates=["F06", "F20"]),
    accepted(
        "rate",
        "ratings with features",
        items=_WATCHED,
        features=_FULL,
        candidates=["F06", "F20", "F03"],
    ),
    accepted("rate", "an unknown candidate has none", items=[], candidates=["Z1", "F01"]),
    accepted(
        "rate",
        "more candidates than a call takes",
        items=_WATCHED,
        candidates=[f"F{number:02}" for number in range(24, 0, -1)],
    ),
    accepted("rate", "no candidates", items=_WATCHED, candidates=[]),
    refused("rate", "all items are unknown", items=["Z1"], candidates=["F06"]),
    refused("rate", "the candidates are a string", items=[], candidates="F06"),
    accepted("describe", "an item without a table of items", item="F03"),
    accepted("knows", "a known item", item="F24"),
]
