"""As much of English as turns names and descriptions of a catalog into phrases: verbs, articles, plurals.

Rules of thumb. Where one does not fit (the first word of a label is no verb), there is no phrase rather than a wrong one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

from multiretriever.core.names import split_words
from multiretriever.core.yaml_io import parse_yaml

PREPOSITIONS = frozenset(
    "about after as at before between by during for from in into of on onto over per to under until with without".split()
)
DETERMINERS = frozenset("a an all any another both each every its my no one our some that the their this those two your".split())
STOP_WORDS = PREPOSITIONS | DETERMINERS | frozenset(
    "and are be been but can does e g has have if is it may more not only or other so such than them then there they was when "
    "where which while who whose will".split()
)  # fmt: skip
_UNCOUNTABLE = frozenset(
    "access advice data email equipment feedback furniture hardware help information leave mail memory money news software "
    "staff stock storage support training travel work recovery wi-fi".split()
)
_COUNTABLE_ING = frozenset("booking building finding hearing listing meeting posting rating recording setting warning".split())
_DOUBLED = frozenset("begin cut drop get let log map plan put run set ship skip stop submit swap tag".split())
_IRREGULAR_PAST = frozenset(
    "begun bought built found given held left lost made paid put read run sent set sold taken told written".split()
)
_SUBORDINATE = frozenset("as because if so than that what whatever when where whether which while who whoever whom whose".split())
# So many words past the longest are let pass where a clause cannot be cut.
_TOLERATED = 4
_CLAUSE_END = re.compile(r"[.;:!?](?:\s|$)|,\s|\s[-\u2013]\s|\s\(")
_WORD = re.compile(r"[\w'/&-]+")


@lru_cache(maxsize=1)
def verbs() -> frozenset[str]:
    """Returns the verbs that labels of steps start with, in their base form."""
    return frozenset(bank("english")["verbs"])


@lru_cache(maxsize=2)
def synonyms(kind: str) -> dict[str, tuple[str, ...]]:
    """Returns what else people say for a word: phrases by word, for a ``verb`` or for a ``noun`` (any other word)."""
    found: dict[str, tuple[str, ...]] = {}
    for line in bank("english", "\n")[f"{kind}_synonyms"]:
        word, _, others = line.partition(":")
        found[word.strip()] = tuple(other.strip() for other in others.split(",") if other.strip())
    return found


@lru_cache(maxsize=32)
def bank(name: str, separator: str | None = None) -> dict[str, tuple[str, ...]]:
    """Returns a file of ``banks``: lists by their key, one item a line (or split elsewhere)."""
    text = resources.files(__package__).joinpath("banks", f"{name}.yaml").read_text(encoding="utf-8")
    documents = parse_yaml(text, f"{name}.yaml")
    assert isinstance(documents, list), documents
    split = {key: str(value).split(separator) for key, value in documents[0].value.items()}
    return {key: tuple(item.strip() for item in items if item.strip()) for key, items in split.items()}


def words_of_name(name: str) -> list[str]:
    """Returns the words of a label or name in small letters; abbreviations keep their capitals."""
    # What is written with spaces is written for people: its hyphens belong to its words.
    words = name.replace("_", " ").split() if " " in name.strip() else split_words(name).split()
    shouted = all(word.isupper() for word in words)
    return [word if word.isupper() and len(word) > 1 and not shouted else word.lower() for word in words] or [name]


def first_clause(text: str, longest: int = 9) -> list[str]:
    """Returns the words of a description up to its first stop.

    A longer clause is cut before a preposition or a subordinate clause, whichever comes last within ``longest`` words; one that
    cannot be cut so and is much longer is no use, and gives nothing.
    """
    words = _WORD.findall(_CLAUSE_END.split(text.strip(), maxsplit=1)[0])
    if len(words) > longest:
        end = next((place for place, word in enumerate(words) if word.lower() in _SUBORDINATE), len(words))
        places = [place for place in range(3, longest + 1) if place <= end and _is_cut(words, place)]
        if not places and len(words) > longest + _TOLERATED:
            return []
        words = words[: max(places)] if places else words
    return [*map(small, words[:1]), *words[1:]]


def _is_cut(words: Sequence[str], place: int) -> bool:
    joint = words[place].lower() in PREPOSITIONS | _SUBORDINATE
    return joint and words[place].lower() != "of" and words[place - 1].lower() not in STOP_WORDS


def small(word: str) -> str:
    """Returns a word in small letters, where it is no name or abbreviation with capitals in its midst."""
    return word if word[1:] != word[1:].lower() or (word.isupper() and len(word) > 1) else word.lower()


def base_form(word: str) -> str | None:
    """Returns the base form of a verb in the third person (``writes``: ``write``), or None for another word."""
    small = word.lower()
    if small in ("is", "has", "does", "goes"):
        return {"is": "be", "has": "have", "does": "do", "goes": "go"}[small]
    if small.endswith("ies") and len(small) > 4:
        return small[:-3] + "y"
    if re.search(r"(?:ss|sh|ch|x|zz)es$", small):
        return small[:-2]
    return small[:-1] if re.search(r"[^su]s$", small) and len(small) > 2 else None


def third_person(verb: str) -> str:
    """Returns a verb in the third person: ``post``: ``posts``."""
    if verb in ("be", "have", "do", "go"):
        return {"be": "is", "have": "has", "do": "does", "go": "goes"}[verb]
    if re.search(r"(?:ss|sh|ch|x|zz|o)$", verb):
        return verb + "es"
    return verb[:-1] + "ies" if re.search(r"[^aeiou]y$", verb) else verb + "s"


def gerund(verb: str) -> str:
    """Returns the form in -ing: ``write``: ``writing``."""
    if verb in _DOUBLED:
        return verb + verb[-1] + "ing"
    if verb in ("tie", "lie", "die"):
        return verb[:-2] + "ying"
    return verb[:-1] + "ing" if re.search(r"[^eoy]e$", verb) and verb != "be" else verb + "ing"


def plural(noun: str) -> str:
    """Returns the plural of a noun, whose last word is changed: ``backup job``: ``backup jobs``."""
    if (noun.endswith("s") and not noun.endswith("ss")) or _is_mass(noun.split()[-1]):
        return noun
    if re.search(r"[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if re.search(r"(?:ss|sh|ch|x|z)$", noun) else "s")


def is_past(word: str) -> bool:
    """Tells whether a word looks like a past participle, as in "Record Created"."""
    return (word.endswith("ed") and len(word) > 3) or word in _IRREGULAR_PAST


def with_article(words: Sequence[str]) -> list[str]:
    """Puts a or an before each noun phrase that takes one: ``message to channel``: ``a message to a channel``."""
    found: list[str] = []
    start = 0
    for place in range(len(words) + 1):
        if place == len(words) or words[place] in PREPOSITIONS or words[place] in ("and", "or"):
            phrase = list(words[start:place])
            found += [article(phrase[0]), *phrase] if phrase and takes_article(phrase) else phrase
            found += words[place : place + 1]
            start = place + 1
    return found


def takes_article(phrase: Sequence[str]) -> bool:
    """Tells whether a noun phrase is one thing that can be counted and has no article yet."""
    head = phrase[-1].lower()
    many = head.endswith("s") and not head.endswith(("ss", "us", "is"))
    return phrase[0].lower() not in DETERMINERS and not many and not _is_mass(head) and head.isalpha() and not is_past(head)


def _is_mass(noun: str) -> bool:
    return noun in _UNCOUNTABLE or (noun.endswith("ing") and noun not in _COUNTABLE_ING)


def article(word: str) -> str:
    """Returns ``a`` or ``an``, as a word asks for it."""
    if word.isupper() and len(word) > 1:
        return "an" if word[0] in "AEFHILMNORSX" else "a"
    small = word.lower()
    return "an" if small[:1] in tuple("aeiou") and not small.startswith(("uni", "use", "usa", "usu", "eu", "one")) else "a"
