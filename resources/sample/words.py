"""The small world of the sample's stories: who lives there, what there is, and what belongs with what."""

from __future__ import annotations

from typing import NamedTuple


def _list(text: str, separator: str = " ") -> tuple[str, ...]:
    return tuple(text.split(separator))


GIRLS = _list("Mia Anna Lily Sue Lucy Emma Rosa Kate Nora Ella Zoe Ruby Jane Amy Molly Sara Eva Ida Nina Tess")
BOYS = _list("Tom Ben Sam Max Jack Leo Tim Dan Finn Joe Luke Noah Adam Paul Oscar Peter Hugo Carl Eric Ned")
SHE_ANIMALS = _list("Daisy Dot Bella Hazel Penny Poppy Luna Coco Fern Willow Mimi Betty Tilly Nelly Clara Lulu")
HE_ANIMALS = _list("Pip Bruno Rex Otto Benny Fuzzy Bob Gus Toby Rusty Monty Felix Hopper Barney Chester Ozzy")


class Animal(NamedTuple):
    """Where a kind of animal lives, what it likes to eat, how it talks when it is glad."""

    home: str
    food: str
    sound: str


ANIMALS = {
    "mouse": Animal("in a hole in the wall", "cheese", "squeaked"),
    "rabbit": Animal("in a warm burrow", "carrots", "giggled"),
    "bear": Animal("in a dark cave", "honey", "growled"),
    "duck": Animal("in the tall reeds", "bread", "quacked"),
    "cat": Animal("in a round basket", "milk", "purred"),
    "dog": Animal("in a wooden kennel", "bones", "barked"),
    "frog": Animal("on a lily pad", "flies", "croaked"),
    "hen": Animal("in a small coop", "corn", "clucked"),
    "goat": Animal("in a drafty barn", "grass", "bleated"),
    "squirrel": Animal("in a hollow tree", "nuts", "chattered"),
    "pig": Animal("in a muddy pen", "turnips", "grunted"),
    "horse": Animal("in a clean stable", "hay", "neighed"),
    "otter": Animal("in the river bank", "fish", "chirped"),
    "owl": Animal("in an old tower", "beetles", "hooted"),
    "bee": Animal("in a busy hive", "nectar", "buzzed"),
    "fox": Animal("in a sandy den", "grapes", "laughed"),
}

HOUSES = _list(
    "small house, tall house, little cottage, stone house, white house, red hut, narrow house",
    ", ",
)
LANDMARKS = _list("sea mill river bridge forest lake hill market station church orchard farm")
PLACES = {
    "park": "in", "garden": "in", "forest": "in", "market": "at", "beach": "at", "meadow": "in",
    "playground": "at", "lake": "at", "farm": "at", "castle": "at", "village": "in", "valley": "in",
    "orchard": "in", "harbor": "at",
}  # fmt: skip
SKIES = _list("sunny cloudy windy cold warm rainy foggy bright snowy quiet")
TRAITS = _list(
    "kind brave shy curious clever lazy honest careful stubborn cheerful gentle quick quiet patient funny polite"
)

COLOURS = _list("red blue green yellow orange purple pink white black brown gray silver golden")
SIZES = _list("big small tiny huge long round old new shiny heavy soft pretty strange ugly")
TOYS = _list(
    "ball kite boat doll drum balloon wagon whistle flute robot train top puppet yo-yo plane truck horn puzzle "
    "crown mask lantern ring necklace watch feather mirror spoon clock book crayon ribbon bracelet pencil bell"
)
CLOTHES = _list("hat scarf coat cap cape sweater apron vest")
COUNTED = {
    "apple": "apples", "pear": "pears", "plum": "plums", "egg": "eggs", "shell": "shells", "stone": "stones",
    "button": "buttons", "flower": "flowers", "berry": "berries", "cookie": "cookies", "cherry": "cherries",
    "leaf": "leaves", "acorn": "acorns", "coin": "coins", "marble": "marbles", "orange": "oranges",
    "mushroom": "mushrooms", "candle": "candles", "peach": "peaches", "bean": "beans", "sticker": "stickers",
    "card": "cards", "lemon": "lemons", "muffin": "muffins", "potato": "potatoes",
}  # fmt: skip
SNACKS = {
    "cookie": "cookies", "plum": "plums", "cherry": "cherries", "muffin": "muffins", "berry": "berries",
    "peach": "peaches", "apple": "apples", "pear": "pears",
}  # fmt: skip
FOODS = _list("soup honey cheese bread jam pie pudding rice pancakes popcorn melon yogurt noodles toast butter salad")
SPOTS = _list(
    "under the bed, in the basket, behind the door, on the shelf, in the drawer, under the rug, behind the oak "
    "tree, in the shed, by the well, under the bench, in the old boot, next to the stove, behind the curtain, in "
    "the tall grass, under the stairs, on the window sill, in the closet, behind the fence, by the gate, in the "
    "hay, under the bridge, next to the fountain, in the sand, on the porch, behind the barn, by the stream, in "
    "the attic, under the table",
    ", ",
)
SECRETS = _list(
    "moon river thunder pepper rainbow dragon sugar candle pumpkin tiger snowflake banana castle pirate star ocean"
)
NUMBERS = _list(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
DAYS = _list("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
FEELINGS = _list("happy sad scared angry proud tired hungry lonely sorry bored surprised cold")


class Elder(NamedTuple):
    """A grown-up who appears in some plots; `name` as in the middle of a sentence."""

    name: str
    he: str
    him: str
    his: str


_SHE, _HE = ("she", "her", "her"), ("he", "him", "his")
FAMILY = (
    Elder("Mom", *_SHE),
    Elder("Dad", *_HE),
    Elder("Grandma", *_SHE),
    Elder("Grandpa", *_HE),
    Elder("Aunt May", *_SHE),
    Elder("Uncle Bill", *_HE),
)
TRADERS = {
    "cake": (Elder("the baker", *_HE), Elder("the cook", *_SHE)),
    "fish": (Elder("the fisherman", *_HE), Elder("the sailor", *_HE)),
    "picture": (Elder("the teacher", *_SHE), Elder("the painter", *_SHE)),
    "pot": (Elder("the potter", *_HE), Elder("the smith", *_HE)),
    "rose": (Elder("the gardener", *_SHE), Elder("the queen", *_SHE)),
    "pumpkin": (Elder("the farmer", *_HE), Elder("the miller", *_HE)),
    "shirt": (Elder("the tailor", *_HE), Elder("the weaver", *_SHE)),
    "chair": (Elder("the carpenter", *_HE), Elder("the woodman", *_HE)),
}


class Tool(NamedTuple):
    """A tool, the obstacle it is for, and what one does with it (`{he}`, `{his}` are the owner's pronouns)."""

    name: str
    obstacle: str
    need: str
    deed: str
    result: str


TOOLS = (
    Tool(
        "rope",
        "They saw a lamb at the bottom of a deep hole.",
        "something to pull the lamb out",
        "tied the rope around the lamb and pulled",
        "Soon the lamb was out of the hole",
    ),
    Tool(
        "lamp",
        "The path went into a dark tunnel.",
        "something to see in the dark",
        "lit the lamp and walked ahead",
        "Now they could see every step",
    ),
    Tool(
        "key",
        "A big gate stood in the way, and it was locked.",
        "something to open the lock",
        "put the key into the lock and turned it",
        "With a click, the gate was open",
    ),
    Tool(
        "ladder",
        "A kitten sat high up in a tree and could not get down.",
        "something to climb on",
        "put the ladder against the tree and climbed up",
        "Soon the kitten was safe on the ground",
    ),
    Tool(
        "net",
        "A toy boat had floated to the middle of the pond.",
        "something to catch the boat",
        "reached out with the net and pulled the boat in",
        "Soon the boat was back on dry land",
    ),
    Tool(
        "umbrella",
        "Big drops of rain began to fall.",
        "something to keep off the rain",
        "opened the umbrella over their heads",
        "Nobody got wet",
    ),
    Tool(
        "blanket",
        "A baby bird lay in the snow and shook with cold.",
        "something warm",
        "put the blanket around the bird",
        "Soon the bird was warm again",
    ),
    Tool(
        "tube of glue",
        "A child was crying because her cup had broken in two.",
        "something to stick the parts together",
        "put glue on the parts and pressed them together",
        "The cup was as good as new",
    ),
    Tool(
        "needle",
        "The sail of a boat had a long tear.",
        "something to sew with",
        "took the needle and sewed the sail",
        "The boat could sail again",
    ),
    Tool(
        "bucket",
        "A small fire was burning in the dry grass.",
        "something to carry water in",
        "filled the bucket with water and poured it on the fire",
        "With a hiss, the fire went out",
    ),
    Tool(
        "map",
        "The road split in two, and nobody knew the way.",
        "something to show them the way",
        "opened the map and found the right road",
        "They were not lost any more",
    ),
    Tool(
        "shovel",
        "Deep snow lay in front of a small door.",
        "something to dig with",
        "took the shovel and dug the snow away",
        "Soon the door was free",
    ),
    Tool(
        "hammer",
        "A board had come off the little bridge.",
        "something to hit the nails with",
        "took the hammer and nailed the board down",
        "The bridge was safe again",
    ),
    Tool(
        "broom",
        "The floor of the hall was full of dust.",
        "something to sweep with",
        "took the broom and swept the hall",
        "Soon the floor was clean",
    ),
    Tool(
        "knife",
        "A bird was caught in a long string.",
        "something to cut the string",
        "took the knife and cut the string",
        "The bird flew up into the sky",
    ),
)


class Danger(NamedTuple):
    """What one should not do, the deed, what comes of it, and how one feels then."""

    rule: str
    deed: str
    result: str
    feeling: str
    reason: str


DANGERS = (
    Danger(
        "eat the green berries",
        "ate a handful of the green berries",
        "had a bad stomach ache",
        "sick",
        "they are not ripe",
    ),
    Danger(
        "walk on the ice",
        "stepped on the ice",
        "broke through and fell into the water",
        "cold",
        "it is too thin",
    ),
    Danger(
        "climb the old wall",
        "climbed up the old wall",
        "fell down and hurt a knee",
        "sad",
        "the stones are loose",
    ),
    Danger(
        "touch the stove",
        "touched the stove",
        "got badly burned",
        "sorry",
        "it is very hot",
    ),
    Danger(
        "wake the sleeping bull",
        "shouted at the sleeping bull",
        "had to run all the way to the fence",
        "scared",
        "he gets very angry",
    ),
    Danger(
        "go into the cave",
        "went into the cave",
        "could not find the way out for a long time",
        "scared",
        "it is easy to get lost in there",
    ),
    Danger(
        "open the beehive",
        "opened the beehive",
        "was stung on the nose",
        "sorry",
        "the bees do not like it",
    ),
    Danger(
        "play near the mud",
        "jumped into the mud",
        "got stuck in it up to the neck",
        "dirty",
        "it is deeper than it looks",
    ),
    Danger(
        "pick the wild roses",
        "picked one of the wild roses",
        "got a thorn in one finger",
        "sad",
        "they have sharp thorns",
    ),
    Danger(
        "pull the cat's tail",
        "pulled the cat's tail",
        "got a long scratch on one hand",
        "sorry",
        "cats have claws",
    ),
)


class Fear(NamedTuple):
    """What one is afraid of, where one must go all the same, and what it was like."""

    of: str
    task: str
    after: str


FEARS = (
    Fear("the dark", "go down into the cellar", "It was dark, but it was only the dark"),
    Fear("deep water", "cross the river in a boat", "The water was deep, but the boat was strong"),
    Fear("thunder", "walk home in the storm", "The thunder was loud, but it could not hurt them"),
    Fear("high places", "climb to the top of the tower", "It was high, but the view was lovely"),
    Fear("the big dog", "walk past the yard of the big dog", "The dog was big, but he only wanted to play"),
    Fear("spiders", "fetch a broom from the dusty attic", "There was a spider, but it ran away at once"),
    Fear("singing in front of people", "sing at the fair", "There were many people, but they all clapped"),
    Fear("the doctor", "visit the doctor", "The doctor was gentle, and it did not hurt"),
)  # fmt: skip

PROJECTS = {
    "raft": ("logs", "ropes", "sail"), "swing": ("board", "ropes", "branch"),
    "tree house": ("boards", "nails", "roof"), "snowman": ("carrot", "hat", "buttons"),
    "scarecrow": ("straw", "coat", "pumpkin"), "tent": ("poles", "cloth", "pegs"),
    "cart": ("wheels", "boards", "handle"), "lantern": ("paper", "candle", "wire"),
    "bird house": ("boards", "paint", "straw"), "puppet show": ("curtain", "puppets", "bench"),
    "sand castle": ("bucket", "spade", "flag"), "band": ("drum", "flute", "bells"),
}  # fmt: skip
PROJECT_ENDS = {
    "raft": "It floated on the water", "swing": "It went up and down",
    "tree house": "It stood high above the ground", "snowman": "It looked at them with a smile",
    "scarecrow": "It kept the crows away", "tent": "It was dry and cozy inside",
    "cart": "It rolled down the road", "lantern": "It shone in the evening",
    "bird house": "A bird moved in at once", "puppet show": "All the children came to see it",
    "sand castle": "It was taller than a chair", "band": "It played all evening",
}  # fmt: skip
LANDSCAPE = (
    ("over the bridge", "the bridge"), ("past the mill", "the mill"), ("through the woods", "the woods"),
    ("around the pond", "the pond"), ("along the stream", "the stream"), ("up the hill", "the hill"),
    ("across the field", "the field"), ("past the church", "the church"), ("through the tunnel", "the tunnel"),
    ("past the windmill", "the windmill"), ("under the arch", "the arch"), ("across the road", "the road"),
)  # fmt: skip
HURTS = (
    ("wing", "bird"), ("paw", "puppy"), ("leg", "lamb"), ("tail", "lizard"), ("foot", "deer"),
    ("ear", "kitten"), ("beak", "crow"), ("fin", "dolphin"),
)  # fmt: skip
BREAKABLES = _list("vase cup plate jar lamp bottle bowl teapot mirror glass")
