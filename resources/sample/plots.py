# ruff: noqa: E501 - a wording stays on one line, so that it reads as the sentence it makes
"""The plots: each is a generator that tells one part of its story at every step.

The composer in `stories.py` runs one main plot and up to two side plots in turn, so that what one part
says is needed again only after others have spoken. A main plot leaves in `teller.lesson` what its outcome teaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from resources.sample import words
from resources.sample.telling import Teller, a, amount, number

Plot = Callable[[Teller], Iterator[None]]


# Main plots


def lost_thing(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    thing, place, elsewhere = t.thing(), t.new(words.SPOTS), t.new(words.SPOTS)
    t.say(
        f"{h.name} had {a(str(thing))}. {h.He} loved it very much.",
        f"{h.name} had got {a(str(thing))} from {t.new(words.FAMILY).name}. {h.He} took it everywhere.",
        f"The thing that {h.name} loved most was {a(str(thing))}.",
    )
    t.say(
        f"That morning, {h.he} had left it {place} while {f.name} was reading {elsewhere}.",
        f"In the morning, {h.he} put the {thing.noun} down {place}. {f.name} sat {elsewhere} and watched.",
        f"While {f.name} was sleeping {elsewhere}, {h.name} played with it {place}.",
    )
    yield
    t.say(
        f"Now {h.name} wanted to play, but the {t.colour(thing.colour)} {thing.noun} was gone.",
        f"Then {h.name} saw that the {t.colour(thing.colour)} {thing.noun} was not there.",
    )
    t.say(
        f"{h.He} was {t.feeling('sad')}.",
        f"{h.He} felt very {t.feeling('sad')}.",
        f"{h.name} began to cry.",
    )
    t.say(
        t.speech(h.name, t.pick((f"Where is my {thing.noun}?", f"Who took my {thing.noun}?", "Please help me look!")))
    )
    yield
    wrong = t.new(words.SPOTS)
    t.say(
        f"They looked {wrong}, but it was not there.",
        f"First they looked {wrong}. There was only {a(t.pick(words.SIZES))} stone.",
    )
    where = t.spot(place)
    t.say(
        f'"You had it {where} this morning," said {f.name}.',
        f'{f.name} thought hard. "This morning it was {where}," {f.he} said.',
    )
    t.say(
        f"They ran to look, and there was the {thing}!",
        f"{h.name} went there at once. {h.He} found the {thing}!",
        f"It was true. The {thing} was still there.",
    )
    t.say(
        f"{h.name} was {t.feeling('happy')} again.",
        f"{h.name} hugged {f.name}.",
        f"{h.name} jumped for joy.",
    )
    t.lesson = "care"


def right_tool(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    tools = [t.new(words.TOOLS) for _ in range(4)]
    owners = (h, h, f, f)
    t.say(
        f"{h.name} packed {a(tools[0].name)} and {a(tools[1].name)}. {f.name} took {a(tools[2].name)} and {a(tools[3].name)}.",
        f"In {h.his} bag, {h.name} had {a(tools[0].name)} and {a(tools[1].name)}, and {f.name} carried {a(tools[2].name)} and {a(tools[3].name)}.",
        f"{h.name} did not want to go without {h.his} {tools[0].name} and {h.his} {tools[1].name}. {f.name} laughed, but {f.he} brought {a(tools[2].name)} and {a(tools[3].name)}.",
    )
    names = tuple(tool.name for tool in words.TOOLS)
    for n, which in enumerate(t.shuffled(range(4))[: t.pick((1, 2, 2))]):
        yield
        tool, owner = tools[which], owners[which]
        t.say(
            t.then(tool.obstacle[0].lower() + tool.obstacle[1:])
            if n
            else f"On the way, {tool.obstacle[0].lower()}{tool.obstacle[1:]}"
        )
        t.say(
            f'"We need {tool.need}," said {t.other.name}.',
            f"{t.other.name} did not know what to do. They needed {tool.need}.",
            f"They needed {tool.need}.",
        )
        known = t.know("cause", tool.name, names)
        holder = t.who("possession", owner)
        t.say(
            f'"I have {a(tool.name)}!" said {holder}. {owner.He} {tool.deed}. {tool.result}.',
            f"Luckily, {holder} had {a(tool.name)}. {owner.He} {tool.deed}. {tool.result}.",
            f"Then they thought of the {known}. {t.who('possession', owner)} {tool.deed}. {tool.result}.",
        )
    t.lesson = "ready"


def trade(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    good, middle = t.new(tuple(words.TRADERS)), t.new(tuple(words.TRADERS))
    first, second = t.pick(words.TRADERS[good]), t.pick(words.TRADERS[middle])
    thing, owner = t.thing(), t.pick((h, f))
    t.say(f"{owner.name} had {a(str(thing))}.", f"In {owner.his} pocket, {owner.name} had {a(str(thing))}.")
    t.say(
        f"{h.name} wanted {a(good)} for {t.new(words.FAMILY).name}.",
        f"More than anything, {h.name} wanted {a(good)}.",
        f"{h.name} had to bring home {a(good)}.",
    )
    t.say(
        f'{first.name.capitalize()} had one. "Bring me {a(middle)}, and it is yours," {first.he} said.',
        f'So they went to {first.name}. "You can have {a(good)}," said {first.name}, "if you give me {a(middle)}."',
    )
    yield
    t.say(
        f"{second.name.capitalize()} had {a(middle)}, but {second.he} wanted {a(thing.noun)} for it.",
        f'They asked {second.name}. "I will give you {a(middle)} for {a(thing.noun)}," {second.he} said.',
    )
    yield
    giver = t.who("possession", owner)
    t.say(
        f"Then {giver} gave {second.name} the {t.colour(thing.colour)} {thing.noun}, and got {a(middle)}.",
        f'"Take my {t.colour(thing.colour)} {thing.noun}," said {giver}. So they got {a(middle)}.',
    )
    goods = tuple(words.TRADERS)
    people = tuple(trader.name for pair in words.TRADERS.values() for trader in pair)
    t.say(
        f"They carried the {t.know('names', middle, goods)} back to {t.know('names', first.name, people)}.",
        f"They took it back to {t.know('names', first.name, people)}, who was glad to have {t.know('names', a(middle), map(a, goods))}.",
    )
    t.say(
        f"At last, {h.name} had {h.his} {t.know('possession', good, goods)}.",
        f"And so {h.name} got the {t.know('possession', good, goods)}.",
    )
    t.lesson = "trade"


def hurt_animal(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    (part, animal), name = t.new(words.HURTS), t.new(words.SECRETS).capitalize()
    parts, kinds = zip(*words.HURTS, strict=True)
    t.say(
        f"Under a tree, {h.name} found {a(animal)} with a hurt {part}.",
        f"They heard a soft cry. It was {a(animal)} that had hurt its {part}.",
        f"{f.name} saw {a(animal)} on the ground. Its {part} was hurt.",
    )
    food = t.new(words.FOODS)
    t.say(
        f"{h.name} put a leaf on the {part} and gave the {animal} some {food}.",
        f"{h.name} washed the {part}, and {f.name} fed it some {food}.",
    )
    t.say(f"They called it {name}.", f'"I will call you {name}," said {h.name}.', f"{f.name} gave it the name {name}.")
    yield
    t.say(
        f"Later, {h.name} and {f.name} lost their way. It was getting dark, and they were {t.feeling('scared')}.",
        f"In the afternoon, a thick fog came up. They could not find the way home. {h.name} was {t.feeling('scared')}.",
    )
    yield
    pets = tuple(word.capitalize() for word in words.SECRETS)
    t.say(
        f"Then they heard something. It was {t.know('names', name, pets)} the {t.know('names', animal, kinds)}!",
        f'Suddenly, the {t.know("names", animal, kinds)} was there. "Look, it is {t.know("names", name, pets)}!" cried {f.name}.',
    )
    t.say(
        f"Its {t.know('names', part, parts)} was well again. It showed them the way home.",
        f"It had not forgotten the {t.food(food)}. It led them home, step by step.",
    )
    t.lesson = "helped"


def snack(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    one = t.new(tuple(words.SNACKS))
    many, half = words.SNACKS[one], t.between(2, 8)
    t.say(
        f"{h.name} had {number(2 * half)} {many} in a bag. {f.name} had none.",
        f"{t.new(words.FAMILY).name} gave {h.name} {number(2 * half)} {many}, but there were none for {f.name}.",
    )
    t.say(f"{f.name} was {t.feeling('hungry')}.", f"{f.name} had not eaten all day.", "")
    t.say(t.speech(f.name, t.pick((f"May I have some of your {many}?", "Can we share?", "They smell so good!"))))
    yield
    if t.chance(0.5):
        t.say(f'"No, the {many} are all mine!" said {h.name}.', f"But {h.name} wanted all the {many} and ran away.")
        t.say(
            f"{h.He} ate all {t.count(2 * half)} {many}.", f"{h.He} sat down alone and ate {t.count(2 * half)} {many}."
        )
        yield
        t.say(
            f"Then {h.name} had a stomach ache, and {h.he} was alone. {h.He} was {t.feeling('sorry')}.",
            f"Soon {h.name} felt ill, and nobody was there to help. {h.name} was {t.feeling('sorry')}.",
        )
        t.say(
            f'"Next time we will share," {h.he} told {f.name}.',
            f'{h.name} went to {t.who("names", f)} and said, "I was wrong."',
        )
        t.lesson = "greedy"
        return
    t.say(
        f'"Of course," said {h.name}. {h.He} gave {f.name} half of the {many}.',
        f"{h.name} smiled and shared the {many} so that both had the same.",
    )
    yield
    t.say(
        f"Now each of them had {t.count(half)} {many}.",
        f"So {f.name} got {t.count(half)} {many}, and {h.name} kept {number(half)}.",
    )
    t.say(
        "They ate them together and laughed.",
        f"{f.name} was {t.feeling('happy')}. They ate side by side.",
    )
    t.lesson = "share"


def broken(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    colour, noun = t.new(words.COLOURS), t.new(words.BREAKABLES)
    elder = t.new(words.FAMILY)
    t.say(
        f"{elder.name} lived near by and had {a(colour)} {noun} that was very old.",
        f"They visited {elder.name}, who kept {a(colour)} {noun} on the table.",
    )
    t.say(
        f"{h.name} ran through the room and broke it.",
        f"{h.name} threw a ball, and it hit the {noun}. It broke into many parts.",
    )
    yield
    was = t.colour(colour)
    asker = t.elder(elder)
    t.say(
        f'"Who broke my {was} {noun}?" asked {asker}.',
        f'When {asker} came back, {elder.he} saw the {was} parts. "Who did this?" {elder.he} asked.',
    )
    if t.chance(0.5):
        t.say(f'"I did it," said {h.name}. "I am sorry."', f'{h.name} was afraid, but {h.he} said, "It was me."')
        yield
        t.say(
            f'"Thank you for telling the truth," said {elder.name}. {elder.he.capitalize()} was not angry.',
            f"{elder.name} was not angry, because {h.name} had told the truth. They picked up the parts together.",
        )
        t.lesson = "honest"
        return
    t.say(f'"It was {f.name}!" said {h.name}.', f'"{f.name} did it," said {h.name}, and that was a lie.')
    yield
    t.say(
        f"So {t.who('names', f)} had to clean the room all alone. {f.He} was {t.feeling('sad')}.",
        f"{elder.name} was angry with {t.who('names', f)}, who began to cry.",
    )
    t.say(
        f'Then {h.name} felt bad. "It was not {t.who("names", f)}. It was me," {h.he} said. {f.name} forgave {h.him}.',
        f"For a long time, {h.name} said nothing. Then {h.he} told {elder.name} who had broken the {t.know('names', noun, words.BREAKABLES)}.",
    )
    t.lesson = "lie"


def race(t: Teller) -> Iterator[None]:
    cast = (t.hero, t.friend, t.other)
    fast, middle, slow = t.shuffled(cast)
    prize = t.thing()
    t.say("There was a race that day.", "They all wanted to run a race.", f'"Let us have a race!" said {t.hero.name}.')
    t.say(
        f"{middle.name} was faster than {slow.name}, but not as fast as {fast.name}.",
        f"{slow.name} was slower than {middle.name}, and {fast.name} was faster than {middle.name}.",
        f"{fast.name} was faster than {middle.name}, and {middle.name} was faster than {slow.name}.",
        f"{fast.name} could run like the wind. {slow.name} was the slowest.",
    )
    t.say(f"The prize was {a(str(prize))}.", f"The winner would get {a(str(prize))}.")
    yield
    if t.chance(0.4):
        t.say(f"At first, {t.who('order', fast)} was ahead. But then {slow.name} fell and hurt a knee.")
        t.say(
            f"{fast.name} stopped and ran back to help {t.who('names', slow)}.",
            f"{fast.name} heard the cry, turned around, and helped {slow.name} up.",
        )
        yield
        t.say(
            f"So it was {t.who('order', middle)} who won the {t.colour(prize.colour)} {prize.noun}.",
            f"{middle.name} came in first and got the {t.colour(prize.colour)} {prize.noun}.",
        )
        t.say(
            f'"But {fast.name} is the best friend," said {t.who("names", slow)}.',
            f"{slow.name} thanked {fast.name} for the help.",
        )
        t.lesson = "winning"
        return
    t.say("They ran as fast as they could.", "One, two, three, and off they went!")
    yield
    t.say(
        f"In the end, {t.who('order', fast)} was first, {t.who('order', middle)} was second, and {t.who('order', slow)} was last.",
        f"{slow.name} came in last, behind {t.who('order', middle)}. The winner was {t.who('order', fast)}.",
    )
    t.say(
        f"{fast.name} got the {t.colour(prize.colour)} {prize.noun}.",
        f"The {t.colour(prize.colour)} {prize.noun} went to {t.who('order', fast)}.",
    )
    t.say(f"{slow.name} was not sad. It had been fun.", f"{middle.name} and {slow.name} clapped.")
    t.lesson = "fun"


def journey(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    legs = [t.new(words.LANDSCAPE) for _ in range(3)]
    goal, errand = t.new(words.FAMILY), t.new(words.FOODS)
    (one, first), (two, second), (three, third) = legs
    t.say(
        f"They had to bring some {errand} to {goal.name}.",
        f"{goal.name} was ill, and {h.name} wanted to bring {goal.him} some {errand}.",
        f'"Please take this {errand} to {goal.name}," said {t.pick([e for e in words.FAMILY if e != goal]).name}.',
    )
    t.say(
        f"The way went {one}, {two}, and {three}.",
        f"First they went {one}, then {two}, and at last {three}.",
        f"They walked {one}. Then they went {two}, and then {three}.",
    )
    yield
    t.say(
        f"{goal.name} was glad and ate the {t.food(errand)}.",
        f"There was {t.elder(goal)}! {goal.he.capitalize()} thanked them for the {t.food(errand)}.",
    )
    yield
    t.say(
        f"On the way back, they came to {t.mark(third)} first, then to {t.mark(second)}, and last to {t.mark(first)}.",
        f"They went home the same way. First came {t.mark(third)}, then {t.mark(second)}, then {t.mark(first)}.",
    )
    t.say(
        f"{f.name} was {t.feeling('tired')}, but {t.pronoun(f)} was happy.",
        "They sang all the way home.",
        f"{h.name} was tired after the long walk.",
    )
    t.lesson = "errand"


def project(t: Teller) -> Iterator[None]:
    cast = t.shuffled((t.hero, t.friend, t.other))
    what = t.new(tuple(words.PROJECTS))
    parts = t.shuffled(words.PROJECTS[what])
    t.say(
        f"They wanted to make {a(what)}.",
        f'"Let us make {a(what)}!" said {t.hero.name}.',
        f"{t.friend.name} had a plan. They would make {a(what)}.",
    )
    t.say(
        *(
            f"{cast[0].name} {verb} the {parts[0]}, {cast[1].name} {verb} the {parts[1]}, and {cast[2].name} {verb} the {parts[2]}."
            for verb in ("brought", "found", "went to get")
        ),
        f"They needed the {parts[0]}, the {parts[1]}, and the {parts[2]}. {cast[0].name} got the {parts[0]}. {cast[1].name} got the {parts[1]}. {cast[2].name} got the {parts[2]}.",
    )
    yield
    missing = t.between(0, 2)
    things = tuple(part for made in words.PROJECTS.values() for part in made)
    t.say(
        f"They worked all day. Then the {parts[missing]} fell down, and it was {t.who('possession', cast[missing])} who had to try again.",
        f'"Something is wrong with the {parts[missing]}," said {cast[(missing + 1) % 3].name}. So {t.who("possession", cast[missing])} went to change that.',
        f"The {parts[missing]} that {t.who('possession', cast[missing])} had brought did not fit at first. They tried again and again.",
    )
    yield
    last = (missing + 1) % 3
    t.say(
        f"{cast[last].name} put in the {t.know('possession', parts[last], things)}, and the {what} was ready.",
        f"With the help of all, the {t.know('names', what, words.PROJECTS)} was ready.",
        f"Last of all, {cast[last].name} added the {t.know('possession', parts[last], things)}. The {what} was done!",
    )
    t.say(
        f"{t.know('cause', words.PROJECT_ENDS[what], words.PROJECT_ENDS.values())}.",
        f"{words.PROJECT_ENDS[what]}. They were {t.feeling('proud')}.",
    )
    t.lesson = "together"


def gift(t: Teller) -> Iterator[None]:
    h, f, o = t.hero, t.friend, t.other
    things = [t.thing() for _ in range(3)]
    wish, rest = things[0], t.shuffled(things)
    t.say(f"It was the birthday of {o.name}.", f"That day was the birthday of {o.name}.")
    t.say(
        f"{o.name} liked {wish.colour} things best. {f.name} liked {things[1].colour} better.",
        f"The favorite color of {o.name} was {wish.colour}, and the favorite color of {h.name} was {things[1].colour}.",
        f'"{o.name} loves everything that is {wish.colour}," said {f.name}. "I like {things[1].colour}."',
    )
    yield
    t.say(
        f"In the shop there were {a(str(rest[0]))}, {a(str(rest[1]))}, and {a(str(rest[2]))}.",
        f"The man in the shop showed them {a(str(rest[0]))}, {a(str(rest[1]))}, and {a(str(rest[2]))}.",
    )
    nouns = tuple(thing.noun for thing in rest)
    t.say(
        f"{h.name} thought of {o.name} and chose the {t.know('cause', wish.noun, nouns)}.",
        f'"{o.name} will like the {t.know("cause", wish.noun, nouns)}," said {h.name}.',
        f"They knew what to take. They bought the {t.know('cause', wish.colour, (x.colour for x in rest))} {wish.noun}.",
    )
    yield
    t.say(
        f"When {t.who('names', o)} opened the box, {o.he} saw the {t.know('colour', wish.colour, (x.colour for x in rest))} {wish.noun} and laughed.",
        f'"{a(str(wish)).capitalize()}!" cried {t.who("names", o)}. "It is just what I wanted!"',
    )
    t.lesson = "gift"


def afraid(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    fear = t.new(words.FEARS)
    others = tuple(x.of for x in words.FEARS)
    t.say(
        f"{h.name} was afraid of {fear.of}.",
        f"There was one thing {h.name} did not like. {h.He} was afraid of {fear.of}.",
    )
    yield
    t.say(f"That day, {h.name} had to {fear.task}.", f"But now they had to {fear.task}.")
    t.say(
        f"{h.name} was {t.feeling('scared')}. {h.He} shook like a leaf.",
        t.speech(h.name, t.pick(("I cannot do it!", "I am so scared.", "Must I go?"))),
    )
    t.say(
        f'"Stay close to me," said {f.name}.',
        f'"I will go with you," said {f.name}.',
        f"{f.name} stayed close to {h.him}.",
    )
    yield
    t.say(f"{fear.after}.", f"So they went together. {fear.after}.")
    t.say(
        f"From then on, {h.name} was not afraid of {t.know('cause', fear.of, others)} any more.",
        f'"I am not afraid of {t.know("cause", fear.of, others)} any more!" said {t.who("names", h)}.',
    )
    t.lesson = "brave"


def baking(t: Teller) -> Iterator[None]:
    h, f, o = t.hero, t.friend, t.other
    kind = t.new(tuple(words.COUNTED))
    need = t.between(4, 14)
    have = t.between(1, need - 2)
    brought = need - have
    elder = t.new(words.FAMILY)
    t.say(
        f"{elder.name} wanted to make a surprise for the fair. {elder.he.capitalize()} needed {amount(need, kind)}.",
        f'"I need {amount(need, kind)}," said {elder.name}.',
    )
    t.say(
        f"{h.name} had only {amount(have, kind)}.",
        f"But in the house there {'was' if have == 1 else 'were'} only {amount(have, kind)}.",
    )
    yield
    t.say(
        f'"Then we need {t.count(brought)} more {words.COUNTED[kind]}," said {f.name}.',
        f"{f.name} counted. They needed {t.count(brought)} more {words.COUNTED[kind]}.",
    )
    part = t.between(1, brought - 1)
    t.say(
        f"{f.name} found {amount(part, kind)}, and {o.name} found the other {t.count(brought - part)}.",
        f"{f.name} brought {amount(part, kind)}. {o.name} brought {t.count(brought - part)}, and that was enough.",
    )
    yield
    t.say(
        f"Now there were {t.count(need)} {t.know('agreement', words.COUNTED[kind], (kind, words.COUNTED[kind]))}, and {t.elder(elder)} could begin.",
        f"{elder.name} was glad to have all {t.count(need)} {words.COUNTED[kind]}.",
    )
    t.lesson = "together"


def warned(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    warning, elder = t.new(words.DANGERS), t.new(words.FAMILY)
    t.say(
        f'"Do not {warning.rule}," said {elder.name}. "{warning.reason.capitalize()}."',
        f"{elder.name} told them not to {warning.rule}, because {warning.reason}.",
    )
    t.say(f"{h.name} did not listen well.", f"{h.name} and {f.name} promised.", "")
    yield
    t.say(
        f'"It cannot be so bad," said {h.name}.',
        f'"Let us do it all the same," said {h.name}.',
        f"{h.name} could not stop thinking about it.",
    )
    if t.chance(0.6):
        t.say(f"{h.He} {warning.deed}.", f"So when nobody looked, {h.he} {warning.deed}.")
        yield
        results = tuple(w.result for w in words.DANGERS)
        t.say(
            f"Then {h.name} {t.know('cause', warning.result, results)}. {h.He} was {warning.feeling}.",
            f"And what happened? {h.name} {t.know('cause', warning.result, results)}.",
        )
        knower = t.elder(elder)
        t.say(f'"{knower} was right," said {h.name}.', f'"I told you," said {knower}, but {elder.he} was not angry.')
        t.lesson = "listen"
        return
    reasons = tuple(w.reason for w in words.DANGERS)
    t.say(f'"No," said {f.name}. "{elder.name} said that {t.know("cause", warning.reason, reasons)}."')
    yield
    t.say(
        f"So they did not {warning.rule}, and {h.name} was safe.",
        f"{h.name} saw that {f.name} was right, and they did something else.",
    )
    t.say(
        f"{elder.name} was {t.feeling('proud')} of them.",
        f"In the evening, {elder.name} gave them some {t.new(words.FOODS)}.",
    )
    t.lesson = "listened"


def treasure(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    colours = [t.new(words.COLOURS) for _ in range(3)]
    right, found = colours[0], t.thing()
    holder = t.pick(("door", "box", "gate", "jar", "chest", "bag"))
    t.say(
        f'An old man told them, "The treasure is in the house on the hill, behind the {right} door."'
        if holder == "door"
        else f'An old man told them, "What you look for is in the {right} {holder}."',
        f"An old map said that they should open the {right} {holder}.",
        f'"Open the {right} {holder}, never the {colours[1]} one," said the old man.',
    )
    yield
    shown = t.shuffled(colours)
    t.say(
        f"There they saw {a(shown[0])} {holder}, {a(shown[1])} {holder}, and {a(shown[2])} {holder}.",
        f"They came to three of them. One {holder} was {shown[0]}, one was {shown[1]}, and one was {shown[2]}.",
    )
    t.say(
        f'"Which one?" asked {f.name}.',
        f"{f.name} did not remember which one it was.",
        f"{f.name} wanted to open the {colours[1]} one.",
    )
    yield
    t.say(
        f"But {h.name} remembered and opened the {t.know('colour', right, colours)} {holder}.",
        f'"It was the {t.know("colour", right, colours)} {holder}," said {h.name}, and {h.he} opened it.',
    )
    t.say(f"Inside was {a(str(found))}!", f"They found {a(str(found))} in it.")
    t.say(
        f"They took turns with the {t.toy(found.noun)}.",
        f"{h.name} gave the {t.toy(found.noun)} to {f.name}.",
    )
    t.lesson = "remember"


MAIN: tuple[Plot, ...] = (
    lost_thing, right_tool, trade, hurt_animal, snack, broken, race, journey, project, gift, afraid, baking, warned, treasure,
)  # fmt: skip


# Side plots: they go on while the main plot is told, and need no place of their own


def collecting(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    kind = t.new(tuple(words.COUNTED))
    mine, his = t.between(1, 8), t.between(1, 6)
    t.say(
        f"{h.name} had {amount(mine, kind)}, and {f.name} had {amount(his, kind)}.",
        f"That day {h.name} had {amount(mine, kind)}. {f.name} had {number(his)}.",
    )
    for _ in range(t.pick((1, 2, 2, 3))):
        yield
        change = t.between(1, 4)
        what = t.between(0, 2)
        if what == 0:
            mine += change
            t.say(
                t.then(
                    f"{h.name} found {number(change)} more {kind if change == 1 else words.COUNTED[kind]}. Now {h.he} had {t.count(mine)}."
                ),
                t.then(f"{h.name} got {number(change)} more. That made {t.count(mine)} {words.COUNTED[kind]}."),
            )
        elif what == 1 and mine > change:
            mine, his = mine - change, his + change
            word = kind if mine == 1 else words.COUNTED[kind]
            t.say(
                t.then(
                    f"{h.name} gave {amount(change, kind)} to {f.name}. So {h.name} had {t.count(mine)} left, and {f.name} had {t.count(his)}."
                ),
                t.then(
                    f"{h.name} gave {f.name} {amount(change, kind)}. Now {f.name} had {t.count(his)}, and {h.name} had {t.count(mine)} {t.know('agreement', word, (kind, words.COUNTED[kind]))}."
                ),
            )
        else:
            his += change
            t.say(
                t.then(
                    f"{f.name} found {number(change)} more {kind if change == 1 else words.COUNTED[kind]}. Now {f.he} had {t.count(his)}."
                ),
                t.then(
                    f"{f.name} picked up {number(change)} more, and then {f.he} had {t.count(his)} {words.COUNTED[kind]}."
                ),
            )
    if mine != his:
        more = h if mine > his else f
        t.say(f"It was {t.who('counting', more)} who had more.", "")
    elif t.chance(0.5):
        t.say("They both had the same.")
    if mine + his <= 20 and t.chance(0.4):
        yield
        t.say(t.then(f"they put all the {words.COUNTED[kind]} together and counted {t.count(mine + his)}."))


def favourites(t: Teller) -> Iterator[None]:
    cast = t.shuffled((t.hero, t.friend, t.other))
    foods = [t.new(words.FOODS) for _ in cast]
    t.say(
        f"{cast[0].name} liked {foods[0]}, {cast[1].name} liked {foods[1]}, and {cast[2].name} liked {foods[2]}.",
        f"The favorite food of {cast[0].name} was {foods[0]}. {cast[1].name} liked {foods[1]} best, and {cast[2].name} liked {foods[2]}.",
    )
    yield
    elder = t.new(words.FAMILY)
    order = t.shuffled(range(3))
    lines = [(cast[i].name, t.food(foods[i])) for i in order]
    t.say(
        t.then(
            f"{elder.name} came with their favorite food. {lines[0][0]} got {lines[0][1]}, {lines[1][0]} got {lines[1][1]}, and {lines[2][0]} got {lines[2][1]}."
        ),
        t.then(
            f"they stopped to eat. For {lines[0][0]} there was {lines[0][1]}, and for {lines[1][0]} there was {lines[1][1]}."
        ),
        t.then(
            f"there was a smell of {foods[order[0]]}. {t.who('names', cast[order[0]])} was very happy, because it was {cast[order[0]].his} favorite food."
        ),
    )


def put_away(t: Teller) -> Iterator[None]:
    who = t.shuffled((t.hero, t.friend, t.other))[: t.pick((1, 2, 2, 3))]
    things = [t.thing() for _ in who]
    spots = [t.new(words.SPOTS) for _ in who]
    for character, thing, spot in zip(who, things, spots, strict=True):
        t.say(
            f"{character.name} put {a(str(thing))} {spot}.",
            f"{character.name} hid {a(str(thing))} {spot}.",
            f"{character.name} had left {a(str(thing))} {spot}.",
        )
    for i in t.shuffled(range(len(who))):
        yield
        thing, where = things[i], t.spot(spots[i])
        colour = t.colour(thing.colour)
        t.say(
            t.then(f"{who[i].name} needed the {colour} {thing.noun}. {who[i].He} found it {where}."),
            t.then(f"{who[i].name} went back for the {thing.noun}. It was still {where}."),
            t.then(f"they looked {spots[i]}. There was the {t.toy(thing.noun)} of {t.who('possession', who[i])}."),
        )


def secret_word(t: Teller) -> Iterator[None]:
    h, f = t.hero, t.friend
    word = t.new(words.SECRETS)
    t.say(
        f'{h.name} and {f.name} had a secret word. It was "{word}".',
        f'"Our secret word is {word}," said {f.name}. "Do not forget it."',
        f'A little bird told {h.name} a magic word. The word was "{word}".',
    )
    yield
    known = t.know("names", word, words.SECRETS)
    t.say(
        t.then(f'somebody asked {h.name} for the word. "It is {known}," said {h.name}.'),
        t.then(f'{f.name} asked, "Do you still know the word?" {h.name} said, "{known}."'),
        t.then(f'an owl asked for the magic word. {h.name} called out "{known}!"'),
    )


def ages(t: Teller) -> Iterator[None]:
    young, old = t.shuffled((t.hero, t.friend))
    age, more = t.between(3, 8), t.between(1, 4)
    t.say(
        f"{young.name} was {number(age)} years old, and {old.name} was {number(more)} {'year' if more == 1 else 'years'} older.",
        f"{old.name} was {number(age + more)} years old. {young.name} was {number(more)} {'year' if more == 1 else 'years'} younger.",
    )
    yield
    t.say(
        t.then(
            f'somebody asked how old they were. "I am {number(age)}," said {young.name}. "And I am {t.count(age + more)}," said {old.name}.'
        ),
        f'"You are {number(age + more)}," {young.name} said to {old.name}. "Next year you will be {t.count(age + more + 1)}."',
        t.then(
            f"they talked about their ages. {t.who('order', old)} was older, and {t.who('order', young)} was younger."
        ),
    )


def clothes(t: Teller) -> Iterator[None]:
    cast = [t.hero, t.friend, t.other]
    what = t.new(words.CLOTHES)
    colours = [t.new(words.COLOURS) for _ in cast]
    t.say(
        f"{cast[0].name} wore {a(colours[0])} {what}, {cast[1].name} wore {a(colours[1])} one, and {cast[2].name} wore {a(colours[2])} one.",
        f"Each of them had {a(what)}. That of {cast[0].name} was {colours[0]}, that of {cast[1].name} was {colours[1]}, and that of {cast[2].name} was {colours[2]}.",
    )
    for _ in range(t.pick((1, 1, 2))):
        yield
        i, j = t.shuffled(range(3))[:2]
        if t.chance(0.6):
            colours[i], colours[j] = colours[j], colours[i]
            t.say(
                t.then(
                    f"{cast[i].name} and {cast[j].name} traded. Now {cast[i].name} had the {t.colour(colours[i])} {what}, and {cast[j].name} had the {t.colour(colours[j])} one."
                ),
                t.then(f"{cast[i].name} and {cast[j].name} traded for fun."),
            )
        else:
            t.say(
                t.then(
                    f"the wind blew the {colours[i]} {what} away. {t.who('possession', cast[i])} ran after it and got it back."
                ),
                t.then(f"{cast[i].name} washed {cast[i].his} {t.colour(colours[i])} {what}."),
            )
    yield
    k = t.between(0, 2)
    t.say(
        t.then(f"the {colours[k]} {what} fell on the ground. It was that of {t.who('possession', cast[k])}."),
        t.then(f"{cast[k].name} looked good in the {t.colour(colours[k])} {what}."),
    )


def tall(t: Teller) -> Iterator[None]:
    big, middle, small = t.shuffled((t.hero, t.friend, t.other))
    t.say(
        f"{big.name} was taller than {middle.name}, and {middle.name} was taller than {small.name}.",
        f"{small.name} was smaller than {middle.name}, but {big.name} was bigger than {middle.name}.",
        f"{middle.name} was taller than {small.name} and smaller than {big.name}.",
    )
    yield
    t.say(
        t.then(f"they saw something up on a branch. Only {t.who('order', big)} was tall enough to reach it."),
        t.then(f"they came to a very small hole in the fence. Only {t.who('order', small)} could go through."),
        t.then(
            f"they stood in a line. The tallest was {t.who('order', big)}, and the smallest was {t.who('order', small)}."
        ),
    )


def promise(t: Teller) -> Iterator[None]:
    h, o = t.hero, t.other
    food, elder = t.new(words.FOODS), t.new(words.FAMILY)
    t.say(
        f'"Please bring me some {food}," {elder.name} had said to {h.name}.',
        f"{h.name} had promised to buy some {food} for {elder.name}.",
        f"{o.name} had to get {food} for {elder.name}, and {h.name} wanted to help.",
    )
    yield
    known = t.food(food)
    person = t.elder(elder)
    t.say(
        t.then(f"they passed a shop and bought the {known} for {person}."),
        t.then(f'{h.name} stopped. "We must not forget the {known}!" {h.he} said. "{person} is waiting."'),
        t.then(f"{o.name} remembered {person} and the {known}."),
    )


def days(t: Teller) -> Iterator[None]:
    today, ahead = t.between(0, 6), t.between(1, 3)
    today_name, then = words.DAYS[today], words.DAYS[(today + ahead) % 7]
    when = ("tomorrow", "in two days", "in three days")[ahead - 1]
    event = t.pick(("the fair", "the big feast", "the first day of school", "the picnic", "the circus"))
    t.say(
        f"It was {today_name}, and {event} was {when}.",
        f"That day was {today_name}. {when.capitalize()}, {event} would begin.",
    )
    yield
    t.say(
        t.then(
            f'"I cannot wait for {t.know("order", then, words.DAYS)}," said {t.friend.name}. "{event.capitalize()} will be great!"'
        ),
        t.then(f"{t.hero.name} thought about {event} on {t.know('order', then, words.DAYS)}."),
    )


def hand_over(t: Teller) -> Iterator[None]:
    cast = t.shuffled((t.hero, t.friend, t.other))
    thing, second = t.thing(), t.thing()
    t.say(
        f"{cast[0].name} carried {a(str(thing))}, and {cast[1].name} carried {a(str(second))}.",
        f"{cast[0].name} had brought {a(str(thing))}. {cast[1].name} had {a(str(second))} with {cast[1].him}.",
    )
    holder = [0, 1]
    for _ in range(t.pick((1, 2, 2))):
        yield
        which = t.between(0, 1)
        item, giver = (thing, second)[which], holder[which]
        taker = (giver + t.between(1, 2)) % 3
        holder[which] = taker
        t.say(
            t.then(f"{cast[giver].name} gave the {item.noun} to {cast[taker].name}."),
            f'"May I have the {item.noun}?" asked {cast[taker].name}, and {t.who("possession", cast[giver])} gave it to {cast[taker].him}.',
            t.then(f"{cast[taker].name} took the {item} from {t.who('possession', cast[giver])}."),
        )
    yield
    which = t.between(0, 1)
    item, owner = (thing, second)[which], cast[holder[which]]
    t.say(
        t.then(f"they wanted to see the {item.noun}. {t.who('possession', owner)} still had it."),
        t.then(f"{owner.name} played with the {item}."),
        t.then(f"{owner.name} looked at the {item} that {owner.he} was holding."),
    )


SIDE: tuple[Plot, ...] = (
    collecting,
    collecting,
    favourites,
    put_away,
    put_away,
    secret_word,
    ages,
    clothes,
    tall,
    promise,
    days,
    hand_over,
    hand_over,
)
