"""Texts that no two memories of a run share, in words or in meaning."""

import hashlib
import random

_WORDS = (  # noqa: SIM905
    "acorn actor alley amber anchor anthem apron arcade armour aspen atlas attic autumn avenue "
    "badger bakery balcony ballad bamboo banjo barley basil beacon beaver bishop blanket blossom "
    "bonfire bottle boulder bracelet bramble brigade bronze buffalo butter cabbage cabin cactus "
    "camel candle canvas canyon caravan carpet castle cathedral cedar cello chalk chapel cherry "
    "chimney cinema cinnamon circus clarinet clover cobalt coffee comet compass copper coral "
    "cottage cotton cradle crater cricket crystal curtain cyclone dagger daisy dancer desert "
    "diamond dolphin donkey dragon drummer eagle ebony elbow ember emerald engine falcon feather "
    "fennel ferry festival fiddle fjord flannel forest fossil fountain galaxy garlic gazelle "
    "ginger glacier goblet granite grocer guitar hammer harbour harvest hazel hedgehog heron "
    "honey horizon hornet hotel iceberg iguana indigo island ivory jacket jasmine jungle kayak "
    "kettle kitchen ladder lagoon lantern lava lavender lemon leopard library lighthouse lilac "
    "lizard lobster magnet magpie mango maple marble market meadow melon mercury meteor miller "
    "mirror monsoon mosaic mountain museum mustard napkin nectar needle nutmeg oasis ocean olive "
    "onion opal orchard orchid otter oyster paddle palace panther paper parrot pebble pelican "
    "pepper piano pigeon pillow pirate planet plaza pocket poet pony poplar potato prairie puppet "
    "pyramid quarry quartz rabbit radish raven ribbon river robin rocket saddle saffron sailor "
    "salmon sandal satin scarlet school shadow shepherd silver siren sparrow spider spinach spruce "
    "squirrel stable statue sugar summit sunset tailor tangerine temple thistle thunder tiger "
    "timber tobacco tortoise tower tractor trumpet tulip tunnel turbine turtle umbrella valley "
    "vanilla velvet violet violin volcano walnut walrus wander willow winter wizard yellow zebra"
).split()


def unique_text(run: str, number: int, *, edition: int = 0) -> str:
    """Return the text of one memory: ten words that hardly any other text has, and a token.

    Args:
        run: Name of the run.
        number: Of the memory, within the run.
        edition: 0 for the text as written, 1 for what it is changed to.
    """
    name = f"{run}/{number}/{edition}"
    # Not for secrets: the same name must give the same text in every process.
    chosen = random.Random(name).sample(_WORDS, 10)  # noqa: S311
    token = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{' '.join(chosen)} {token}"
