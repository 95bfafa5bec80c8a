"""Phrases of an element that the patterns of the banks are filled with: what it does, what it is called, what it holds.

Each phrase comes either from the names of an element or from its description, and no pattern joins the two: a query tells one
thing of an element and hides the rest, as people do who do not know how it is called.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from multiretriever.core.elements import CatalogItem, Element, Field, Step, Table, Workflow
from multiretriever.training.queries import english
from multiretriever.training.queries.english import first_clause, plural, words_of_name

Slots = dict[str, str]
_PARTICLES = ("up", "out", "off", "down", "back", "away", "on")
_STARTS = ("starts", "fires", "runs", "triggers", "begins", "start", "trigger", "fire", "run")
_EVENT_WORDS = ("when", "whenever", "once", "every", "each", "at", "on", "after", "before", "as", "if", "daily", "weekly")
_LONGEST_EVENT = 12
# Of the words that have synonyms, so many are replaced.
_REPLACED = 0.4
_DEFAULT_SCOPES = ("core", "global", "default", "main")


def bank_of(element: Element) -> str:
    """Returns the name of the bank whose patterns fit an element."""
    if isinstance(element, Step):
        return "trigger" if element.kind == "trigger" else "step"
    return element.element_type if element.element_type in _MAKERS else "any"


def slots_of(element: Element, rng: random.Random) -> Slots:
    """Returns the phrases of an element, with some words replaced by chance; what it has nothing for is left out."""
    found = _MAKERS[bank_of(element)](element, rng)
    if element.scope and element.scope.lower() not in _DEFAULT_SCOPES:
        found["scope"] = " ".join(words_of_name(element.scope))
    return {key: value for key, value in found.items() if value}


def keywords(element: Element, rng: random.Random) -> str:
    """Returns three to five words of an element that say something, in the order in which they come or mixed."""
    names = [*words_of_name(element.title), *words_of_name(element.name), *words_of_name(element.scope)]
    names += [word for field in getattr(element, "fields", ())[:6] for word in words_of_name(field)]
    names += words_of_name(element.table) if isinstance(element, Field) else []
    telling = _telling([*names, *element.description.split()])
    count = min(len(telling), rng.randint(3, 5))
    places = sorted(rng.sample(range(len(telling)), count))
    others = [(telling[place], _other(telling[place], rng)) for place in places]
    chosen = [word if " " in other else other for word, other in others]
    if rng.random() < 0.5:
        rng.shuffle(chosen)
    return " ".join(chosen)


def _telling(words: Sequence[str]) -> list[str]:
    plain = (word.strip(".,;:!?()'\"") for word in words)
    unsaid = (*english.STOP_WORDS, *_DEFAULT_SCOPES)
    kept = {word.lower(): english.small(word) for word in plain if len(word) > 2 and word.lower() not in unsaid}
    return list(kept.values())


def _other(word: str, rng: random.Random, kind: str = "noun") -> str:
    others = english.synonyms(kind).get(word.lower())
    return rng.choice(others) if others and rng.random() < _REPLACED else word


def _varied(words: Sequence[str], rng: random.Random) -> list[str]:
    said = [part for word in words for part in _other(word, rng).split()]
    after = [*said[1:], ""]
    return [english.article(follower) if word in ("a", "an") else word for word, follower in zip(said, after, strict=False)]


def _verbal(words: Sequence[str], rng: random.Random, base: str, third: str, ing: str) -> Slots:
    """Returns an order ("post a message") in its three forms, by the names of their slots."""
    said = [*_other(words[0], rng, "verb").split(), *_varied(words[1:], rng)]
    rest = " ".join(said[1:])
    forms = {base: said[0], third: english.third_person(said[0]), ing: english.gerund(said[0])}
    return {name: f"{verb} {rest}".strip() for name, verb in forms.items()}


def _order_of_label(label: str) -> list[str]:
    """Returns a label that starts with a verb as an order: ``Post Message``: ``post a message``; empty for another label."""
    words = words_of_name(label)
    if len(words) < 2 or words[0] not in english.verbs():
        return []
    head = 2 if words[1] in _PARTICLES else 1
    rest = words[head:]
    joined = any(word in ("and", "or") for word in rest)
    return [*words[:head], *(rest if joined else english.with_article(rest))]


def _order_of_description(description: str) -> list[str]:
    """Returns a description that starts with a verb as an order: ``Writes to a channel.``: ``write to a channel``."""
    words = first_clause(description)
    if words[:1] == ["we"]:
        words = words[1:]
    if len(words) < 2:
        return []
    verb = words[0] if words[0] in english.verbs() else english.base_form(words[0])
    if verb is None or words[1].lower() in ("of", "that", "which", "for", "with"):
        return []
    return [verb, *words[1:]]


def _noun_phrase(description: str) -> list[str]:
    """Returns a description that names one thing, without its article; empty for another one."""
    words = first_clause(description)
    while words and words[0].lower() in ("a", "an", "the", "one"):
        words = words[1:]
    if words[:1] and words[0].lower().startswith(("every", "any", "some", "nothing")):
        return []
    joints = english.PREPOSITIONS | english.STOP_WORDS
    end = next((place for place, word in enumerate(words) if word.lower() in joints), len(words))
    return words if words[:end] and english.takes_article(words[:end]) else []


def _step(element: Step, rng: random.Random) -> Slots:
    found: Slots = {}
    order = _order_of_label(element.title)
    if order:
        found |= _verbal(order, rng, "act", "acts", "acting")
        found["thing"] = " ".join(words_of_name(element.title)[1:])
    told = _order_of_description(element.description)
    if told:
        found |= _verbal(told, rng, "do", "does", "doing")
    needed = [item for item in element.inputs if item.required] or list(element.inputs)
    if needed:
        chosen = rng.choice(needed)
        found["input"] = " ".join(words_of_name(chosen.label or chosen.name))
    return found


def _trigger(element: Step, rng: random.Random) -> Slots:
    found: Slots = {}
    words = words_of_name(element.title)
    if len(words) > 1 and english.is_past(words[-1]) and not any(map(english.is_past, words[:-1])):
        thing = words[:-1]
        found["thing"] = " ".join([*thing, words[-1]])
        verb = "are" if thing[-1].endswith("s") and not thing[-1].endswith("ss") else "is"
        found["when"] = " ".join(["when", *english.with_article(_varied(thing, rng)), verb, words[-1]])
    event = first_clause(element.description, _LONGEST_EVENT)
    while event and event[0].lower() in (*_STARTS, "the", "a", "flow", "workflow"):
        event = event[1:]
    if len(event) > 1 and event[0].lower() in _EVENT_WORDS and ("when" not in found or rng.random() < 0.6):
        found["when"] = " ".join(_varied(event, rng))
    return found


def _table(element: Table, rng: random.Random) -> Slots:
    words = words_of_name(element.title)
    what = _varied(_noun_phrase(element.description), rng)
    table = " ".join(words)
    found = {"table": table, "tables": plural(table), "a_table": _one(words), "what": " ".join(what), "a_what": _one(what)}
    titles = [title for title in map(words_of_name, element.fields) if _is_noun(title)]
    for number, title in enumerate(rng.sample(titles, min(3, len(titles))), start=1):
        found |= {f"f{number}": " ".join(title), f"a_f{number}": _one(title)}
    return found


def _one(words: Sequence[str]) -> str:
    return " ".join(english.with_article(words))


def _is_noun(title: Sequence[str]) -> bool:
    return bool(title) and title[-1] not in english.PREPOSITIONS and not english.is_past(title[-1])


def _field(element: Field, rng: random.Random) -> Slots:
    table, kind = " ".join(words_of_name(element.table)), element.data_type.lower()
    people = (element.reference or "").lower() in ("user", "person", "employee", "contact", "sys_user")
    title = words_of_name(element.title)
    fact = _fact(title, dated="date" in kind or "time" in kind)
    found = {
        "field": "" if fact else " ".join(title),
        "a_field": "" if fact else _one(title),
        "fact": fact,
        "table": table,
        "a_table": _one(table.split()),
        "tables": plural(table),
        "what": " ".join(_varied(first_clause(element.description), rng)),
        "ask": "who" if people else "when" if "date" in kind or "time" in kind else "what",
        "target": " ".join(words_of_name(element.reference or "")),
        "a_target": _one(words_of_name(element.reference or "")),
    }
    if element.choices:
        found["choice"] = " ".join(words_of_name(rng.choice(element.choices)))
    return found


def _fact(title: Sequence[str], *, dated: bool) -> str:
    """Returns a column that is named after what happened as a clause: ``uploaded by``: ``who it was uploaded by``."""
    if title[-1] == "by" and len(title) > 1:
        return f"who it was {' '.join(title)}"
    said = title[:-1] if title[-1] in ("at", "on") else title
    return f"when it was {' '.join(said)}" if dated and said and english.is_past(said[-1]) else ""


def _catalog_item(element: CatalogItem, rng: random.Random) -> Slots:
    item = words_of_name(element.title)
    joints = {*_PARTICLES, "over", *english.PREPOSITIONS, *english.DETERMINERS}
    if len(item) > 1 and item[0] in english.verbs() and item[1] in joints:
        return _verbal(item, rng, "do", "does", "doing")
    found = {"item": " ".join(item), "items": plural(" ".join(item)), "a_item": _one(_varied(item, rng))}
    told = _order_of_description(element.description)
    if told:
        found |= _verbal(told, rng, "do", "does", "doing")
    else:
        found["what"] = " ".join(english.with_article(_varied(_noun_phrase(element.description), rng)))
    category = element.metadata.get("category")
    return found | ({"category": category} if isinstance(category, str) else {})


def _workflow(element: Workflow, rng: random.Random) -> Slots:
    words = words_of_name(element.title)
    is_order = words[0] in english.verbs()
    orders = list(filter(None, (_order_of_description(element.description), words if is_order else [])))
    found = _verbal(rng.choice(orders), rng, "do", "does", "doing") if orders else {}
    return found if is_order else found | {"name": " ".join(_varied(words, rng))}


def _any(element: Element, rng: random.Random) -> Slots:
    telling = _telling([*words_of_name(element.label), *element.description.split()])
    chosen = [_other(word, rng) for word in rng.sample(telling, min(3, len(telling)))]
    found = {f"k{number}": word for number, word in enumerate(chosen, start=1)}
    return found | {"name": " ".join(_varied(words_of_name(element.label), rng))}


_MAKERS: Mapping[str, Callable[..., Slots]] = {
    "step": _step,
    "trigger": _trigger,
    "table": _table,
    "field": _field,
    "catalog_item": _catalog_item,
    "workflow": _workflow,
    "any": _any,
}
