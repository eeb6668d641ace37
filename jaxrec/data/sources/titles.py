"""A fictional film catalogue, with titles in the vocabulary of each genre."""

import numpy as np
import polars as pl

YEARS = (1950, 2024)
NUMERALS = ("", " II", " III", " IV")  # suffixes of the parts of a series
SERIES = (0.55, 0.2, 0.15, 0.1)  # probabilities of one, two, three, four parts

# Genre, adjectives, nouns. No adjective and no noun repeats, so no title belongs to two genres.
_WORDS = """\
Adventure
Emerald Uncharted Sunken Farthest Roving Salt Coral Northern Winding Fabled Ivory Monsoon
Voyage Compass Expedition Atoll Caravan River Map Summit Harbour Passage Treasure Horizon
Animation
Paper Marmalade Wobbly Tiny Clockwork Buttoned Pocket Striped Dandelion Flying Wool Tin
Kite Fox Umbrella Balloon Teapot Lighthouse Owl Mitten Puddle Acorn Snail Carousel
Comedy
Accidental Reluctant Borrowed Slightly-Used Second-Best Punctual Unlikely Cheerful Spare \
Overdressed Honorary Tangled
Butler Wedding Holiday Landlord Uncle Bachelor Mayor Choir Dinner Divorce Tenor Genius
Crime
Crooked Marked Nameless Midnight Forged Painted Hollow Missing Seventh Cold Bitter Grey
Alibi Ledger Witness Heist Informer Motive Verdict Safe Accomplice Tunnel Getaway Wager
Documentary
Living Vanishing Hidden Patient Common Measured Shared Ordinary Slow Changing Deep Open
Glacier Archive Harvest Reef Workshop Village Migration Forest Railway Market Estuary Sky
Drama
Glass Quiet Unfinished Distant Fading Autumn Broken Inherited Plain Late Folded Unsent
House Letter Daughter Orchard Season Inheritance Winter Portrait Shore Silence Bridge Son
Fantasy
Moonlit Enchanted Thorned Sleeping Silver Whispering Ashen Crowned Runed Starless Oaken Everlasting
Kingdom Wyvern Mirror Sorcerer Gate Spindle Oracle Throne Warden Grove Spell Amulet
Horror
Pale Unburied Crawling Lidless Withered Howling Drowned Rotting Unlit Bloodless Famished Cursed
Cellar Crypt Visitor Scarecrow Attic Lullaby Marsh Asylum Doll Séance Parish Hunger
Musical
Velvet Dancing Golden Singing Spotlit Syncopated Dazzling Blue Twirling Tireless Satin Electric
Melody Ballroom Serenade Chorus Waltz Trumpet Parade Cabaret Rhapsody Refrain Tango Overture
Romance
Tender Stolen Lasting Parisian Summer Hushed Blushing Rose Faithful Roaming First Crimson
Promise Kiss Stranger Garden Valentine Embrace Sonnet Heart Reunion Balcony Vow Evening
Science Fiction
Orbital Quantum Synthetic Lunar Infinite Solar Cryogenic Titanium Interstellar Binary Outer Parallel
Signal Colony Android Eclipse Paradox Station Machine Drift Satellite Memory Nebula Dawn
Western
Dusty Lonesome Rusted Whiskey Buckskin Outlaw Copper Burning Dry High Branded Lawless
Saddle Canyon Stagecoach Sheriff Mustang Frontier Gunsmith Prairie Bounty Mesa Spur Ranch
"""
GENRES = tuple(_WORDS.splitlines()[0::3])
_ADJECTIVES = [line.split() for line in _WORDS.splitlines()[1::3]]
_NOUNS = [line.split() for line in _WORDS.splitlines()[2::3]]

# The first words and the last words of place names.
_PLACES = """\
Marrow Elder Kestrel Saint-Loup Ravens Willow Amber Cinder Hallow Juniper Linden Mallow \
Orchid Pelican Quarry Sable Thistle Umber Vesper Yarrow
Bay Point Hollow Falls Heath Cross Ferry Moor Ridge Wells Sound Abbey Lock Vale Crossing \
Hill Pass Quay Green Island
"""
_PLACE_HEADS, _PLACE_TAILS = (line.split() for line in _PLACES.splitlines())
ONCE = 12 * 12 * (1 + len(_PLACE_HEADS) * len(_PLACE_TAILS))  # titles of a genre before a remake


def invent_films(
    count: int, rng: np.random.Generator
) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    """Generate films; those of a genre are contiguous, and so are the parts of a series.

    Returns:
        Titles, genres and years; the main genre of each row; the row of its next part, or -1.
    """
    length = 1 + rng.choice(len(SERIES), count, p=SERIES)
    series = np.repeat(np.arange(count), length)[:count]
    length = np.bincount(series)  # the last series may be cut off
    part = np.arange(count) - np.searchsorted(series, series)
    next_part = np.where(part + 1 < length[series], np.arange(count) + 1, -1)

    # Gumbel top-k trick: sample one to three distinct genres per series by their frequency.
    frequency = rng.dirichlet([4] * len(GENRES))
    genres = np.argsort(-np.log(frequency) - rng.gumbel(size=(len(length), len(GENRES))))
    genres = genres[np.argsort(genres[:, 0], kind="stable")]
    breadth = rng.integers(1, 4, len(length))
    main = genres[:, 0]
    number = np.arange(len(main)) - np.searchsorted(main, main)
    names = [title(*pair) for pair in zip(main.tolist(), number.tolist(), strict=True)]

    pause = rng.integers(1, 4, len(length))  # years between parts
    latest = YEARS[1] - pause * (length - 1)
    first = YEARS[0] + ((latest + 1 - YEARS[0]) * np.sqrt(rng.random(len(length)))).astype(int)
    genre_names = np.array(GENRES)[genres[:, : breadth.max()]].tolist()
    genres_of = pl.Series([row[:n] for row, n in zip(genre_names, breadth.tolist(), strict=True)])
    films = pl.DataFrame(
        {
            "title": pl.Series(names).gather(series) + pl.Series(NUMERALS).gather(part),
            "genres": genres_of.gather(series),
            "year": pl.Series(first[series] + pause[series] * part, dtype=pl.Int32),
        }
    )
    return films, main[series], next_part


def title(genre: int, number: int) -> str:
    """Return title `number` of a genre; different numbers have different titles.

    The first 144 are plain ("The Glass Bridge"), the others have a place ("... at Marrow Bay"), and
    after ONCE titles they repeat with a suffix ("The Glass Bridge (remake 1)").
    """
    remake, number = divmod(number, ONCE)
    if remake:
        return f"{title(genre, number)} (remake {remake})"
    adjectives, nouns = _ADJECTIVES[genre], _NOUNS[genre]
    place, pair = divmod(number, len(adjectives) * len(nouns))
    turn, noun = divmod(pair, len(nouns))
    name = f"The {adjectives[(noun + turn) % len(adjectives)]} {nouns[noun]}"
    if place == 0:
        return name
    tail, head = divmod(place - 1, len(_PLACE_HEADS))
    return f"{name} at {_PLACE_HEADS[head]} {_PLACE_TAILS[tail]}"
