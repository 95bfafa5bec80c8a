"""Taking a requirement apart: when it starts, and what is to be done, clause by clause. Rules for English, no model."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from multiretriever.core.drafting.sentences import Sentence, sentences_of
from multiretriever.core.drafting.starts import find_start
from multiretriever.core.drafting.words import ACTIONS, SPAN, Action

_PRONOUN = re.compile(r"\b(?:them|it|those|these|each(?: one)?|all of them|one|him|her)\b", re.IGNORECASE)
_FILLER = (
    r"(?:(?:please|pls|also|automatically|it should|we|then|and|first|next|now|finally|lastly|at last|after that|afterwards|just|"
    r"simply|only|immediately|at once|straight away|in the end|additionally|besides|but|so|to|i want to|i'd like to|"
    r"don't forget to|"
    r"we want to|we need to|we should|should|must|has to|have to|be|gets?|get|are|is|shall|also|let's|let us|you)[\s,]+)*?"
)
_LOOP = re.compile(
    r"(?:(?:then|and|after that|next|now)[\s,]+)*(?:(?:take|go|work|handle|do)\b[^,:]{0,40}?\b(?:one (?:at a time|by one)|"
    r"in turn)\b|(?:do|repeat|perform) (?:this|that|the same|it) |this is |run |process )?"
    r"(?:(?:for|with|on|to|over)\s+(?:each|every(?: one)?|all|any|those|these)\b|(?:each|every) (?:one|of)\b|(?:loop|iterate|"
    r"go|run|walk|step)"
    r" (?:over|through|across|down)\b|(?:per|go)\s(?=[\w ]+$)|one (?:by one|after the other|at a time)\b|each\b|"
    r"for (?=(?:all )?(?!the\b)[^,:]*[a-z]s\b[^,:]*[,:]))",
    re.IGNORECASE,
)
_OTHERWISE = re.compile(
    r"(?:and |but )?(?:otherwise|or else|else|if not|if no|if none|if there(?:'s| is| are) n(?:one|o\b)[^,:]*|in all other cases|"
    r"in any other case|any other (?:outcome|case|answer|result)|the rest|all (?:the )?others|failing that|when not|"
    r"(?:if|when) (?:they|it|he|she) (?:does|do|did|is|are|was|were|has|have)(?:n't| not)\b[^,:]*)(?:[\s,:]+|$)",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"(?:and |but |then )?((?:if|when|whenever|where|once|as soon as|unless|in case|provided|should|while|on (?:a |an )?"
    r"(?:yes|no|ok|success|failure|approval|rejection)|with (?:at least|more|less|fewer|no)|for (?:the )?\w+ ones)\b.*)",
    re.IGNORECASE | re.DOTALL,
)
_TRAILING_CONDITION = re.compile(r"(.{4,}?),?\s+((?:if|unless|in case|provided(?: that)?|only when)\s+.+)", re.IGNORECASE)
_OPENING = re.compile(
    r"\s*[,&]\s*(?:and |but |then )?(?=(?:if|unless|otherwise|else|for (?:each|every|all)|with every|once (?:it|that|they|"
    r"approved))\b)|"
    r"\s+(?:and|then)\s+(?=(?:for|with) (?:each|every|all)\b)",
    re.IGNORECASE,
)
_WAIT = re.compile(
    rf"(?:then |and |next )?((?:wait|pause|sleep|hold|give|allow|leave)\b[^,;]*?\b{SPAN}\b(?: at most)?|(?:after|"
    rf"{SPAN} (?:later|after"
    rf"(?:wards)?)|in)\b(?: another| a further)?\s*(?:{SPAN})?)(?:[\s,]+|$)", re.IGNORECASE)  # fmt: skip
_IF = re.compile(r"^if\s+", re.IGNORECASE)
_BEFORE_AFTER = re.compile(rf"{SPAN} (?:before|after)\b(?!wards)", re.IGNORECASE)
_NO_VERB_AFTER = "".join(
    rf"(?<!\b{word})"
    for word in "to not the a an can they we you i no or its of in is are was be been and by for with will may must should does "
    "do did "
    "their his her my our your some any every each new on at from that which who".split()
)
_FINITE = (
    r"(?:gets?|is|are|has|have|must|should|shall|will|can|may|needs?|decides?|approves?|goes|receives?|takes?|agrees?|becomes?)"
)
_SUBJECT = r"(?:the|a|an|this|that|their|his|her|its|our|whoever|somebody|someone|nobody|everybody)"
_LABEL_WORDS = 7


@dataclass(frozen=True)
class Clause:
    """One thing that is to be done.

    Attributes:
        text: Its words; empty where only a condition or a loop is opened.
        verb: The verb that it starts with, in small letters; empty when none is known.
        action: What the verb does to records.
        condition: What must hold for it, in words; empty without an ``if``.
        otherwise: Words such as "otherwise", where it is done when the condition before does not hold.
        each: The words of its "for each"; empty when there are none.
        refers: Whether it speaks of something named before (them, it).
    """

    text: str
    verb: str = ""
    action: Action = "other"
    condition: str = ""
    otherwise: str = ""
    each: str = ""
    refers: bool = False

    @property
    def object(self) -> str:
        """Its words without the verb and without pronouns."""
        rest = self.text[len(self.verb) :] if self.text.lower().startswith(self.verb) else self.text
        return _PRONOUN.sub("", rest).strip(" ,.")


@dataclass(frozen=True)
class Outline:
    """A requirement taken apart.

    Attributes:
        trigger: Words that say when it starts; empty when it does not say.
        clauses: What is to be done, in order.
    """

    trigger: str
    clauses: tuple[Clause, ...]


def outline(requirement: str, verbs: Collection[str] = ()) -> Outline:
    """Takes a requirement apart into its trigger and its clauses.

    Args:
        requirement: What is asked for.
        verbs: Verbs that sentences may start with beside those that are known, such as those that steps are named after.
    """
    reader = _Reader(verbs)
    trigger, sentences = find_start(sentences_of(requirement), reader)
    return Outline(trigger, tuple(reader.clauses(sentences)))


def _framed(clause: Clause, frame: Clause) -> Clause:
    """Returns a clause with the condition and the loop that were opened before it."""
    return replace(
        clause,
        condition=clause.condition or ("" if clause.otherwise else frame.condition),
        otherwise=clause.otherwise or frame.otherwise,
        each=clause.each or frame.each,
    )


class _Reader:
    def __init__(self, verbs: Collection[str]) -> None:
        known = sorted({*ACTIONS, *(verb.lower() for verb in verbs)}, key=len, reverse=True)
        verb = "|".join(re.escape(item) for item in known)
        self._leading = re.compile(rf"{_FILLER}({verb})\b(?![-'\u2019/]| of\b)", re.IGNORECASE)
        self._next = re.compile(
            rf"\s*[,;]?\s*\b(?:and\s+)?then\s+|\s+\+\s+|\s*(?:,\s*(?:and|but)?|;|\band\b(?:\s+(?:also|finally))?|&|"
            rf"\bas well as\b)"
            rf"\s+(?=(?:(?:also|finally|just)\s+)?(?:{verb})\b(?![-'\u2019]|\s+(?:in|within|at|before|after|than|by|since|"
            rf"during)\b)|{_SUBJECT}\s+(?:[\w'\u2019-]+\s+){{1,4}}?{_FINITE}\b)",
            re.IGNORECASE,
        )
        self._listed = re.compile(r"\s*,\s*(?:and\s+)?(?=(?:an?|the|their|his|her)\s)|\s+and\s+(?=an?\s)", re.IGNORECASE)
        # The verb after a condition that no comma ends; not one that belongs to a word before it ("to", "does not").
        self._after_condition = re.compile(
            rf"(?P<condition>(?:(?:{SPAN} )?(?:after|before)|if|when(?:ever)?|once|as soon as|each time|every time|where|"
            rf"unless|on a|in case)\s+"
            rf"[^,:]+?){_NO_VERB_AFTER}\s+(?:then\s+)?(?=(?-i:{verb})\s+\S|{_SUBJECT}\s+(?:[\w'\u2019-]+\s+){{1,3}}?(?:has|"
            rf"have|should|must|shall)\b"
            rf"|we\s+(?:want|need|would|have|should|must)\b)",
            re.IGNORECASE,
        )

    def starts_with_verb(self, text: str) -> bool:
        """Tells whether a text starts as an order does."""
        return self._leading.match(text) is not None

    def clauses(self, sentences: list[Sentence]) -> Iterator[Clause]:
        """Gives the clauses of sentences, in order."""
        pending = Clause("")
        for place, sentence in enumerate(sentences):
            more = place + 1 < len(sentences)
            if more and self._is_label(sentence, place):
                pending = replace(pending, condition=sentence.text)
                continue
            found: list[Clause] = []
            for piece in _OPENING.split(sentence.text):
                made = [_framed(clause, pending) for clause in self._clauses(piece)]
                pending = Clause("")
                if made and not made[-1].text and found and sentence.end in ("", ".", ";"):
                    # "do it, if there is one": what the sentence ends with is about what it says before.
                    found = [_framed(clause, made[-1]) for clause in found]
                elif made and not made[-1].text and (more or piece is not sentence.text):
                    found += made[:-1]
                    pending = made[-1]
                else:
                    found += made
            yield from found
        if pending != Clause(""):
            yield pending

    def _is_label(self, sentence: Sentence, place: int) -> bool:
        """Tells whether a sentence is a condition without "if": "Sender unknown? then answer", "A clash: put it on hold"."""
        short = len(sentence.text.split()) <= _LABEL_WORDS and not self.starts_with_verb(sentence.text)
        opens = _OTHERWISE.match(sentence.text) or _LOOP.match(sentence.text) or _CONDITION.match(sentence.text)
        return short and not opens and (sentence.end == "?" or (place > 0 and sentence.end in (":", "->")))

    def _clauses(self, text: str) -> Iterator[Clause]:
        frame = Clause("")
        if match := _OTHERWISE.match(text):
            frame, text = replace(frame, otherwise=match.group().strip(" ,:")), text[match.end() :]
        if match := _LOOP.match(text):
            words, text = self._loop(text, match.end())
            frame = replace(frame, each=words)
        if not frame.otherwise and (match := _CONDITION.match(text)):
            words, text = self.split_condition(match.group(1))
            frame = replace(frame, condition=_IF.sub("", words))
        text = text.strip(" ,.")
        if not text:
            if frame != Clause(""):
                yield frame
            return
        for part in self._parts(text):
            yield from self._clause(part, frame)

    def _loop(self, text: str, end: int) -> tuple[str, str]:
        """Returns the words that say what is looped over, and what is done in the loop."""
        rest = text[end:]
        stop = re.search(r"[,:]\s*", rest)
        verb = re.search(rf"\s+(?={self._leading.pattern.removeprefix(_FILLER)})", rest, re.IGNORECASE)
        if stop is not None and (verb is None or stop.start() <= verb.start() or stop.start() < len(rest) / 2):
            return text[: end + stop.start()], rest[stop.end() :]
        if verb is not None and verb.start() > 0:
            return text[: end + verb.start()], rest[verb.end() :]
        return text, ""

    def split_condition(self, text: str) -> tuple[str, str]:
        """Returns a condition or event that a text starts with, and what is done then."""
        stop = re.search(r"\s*[,:]\s*(?:then\s+)?", text)
        verb = self._after_condition.match(text)
        if verb is not None and (stop is None or verb.end("condition") < stop.start()):
            return verb.group("condition"), text[verb.end() :]
        if stop is not None:
            return text[: stop.start()], text[stop.end() :]
        return text, ""

    def _parts(self, text: str) -> Iterator[str]:
        for part in self._next.split(text):
            # "create a case, a mailbox and the licence": the verb holds for all of them.
            pieces = self._listed.split(part)
            head = self._leading.match(pieces[0])
            if head is None or len(pieces) == 1 or ACTIONS.get(head.group(1).lower()) not in ("create", "other"):
                yield part
                continue
            yield pieces[0]
            new = re.compile(r"an?\s", re.IGNORECASE)
            yield from (f"{head.group(1)} {piece}" if new.match(piece) else piece for piece in pieces[1:])

    def _clause(self, text: str, frame: Clause) -> Iterator[Clause]:
        text = text.strip(" ,.;:-+&()")
        if _BEFORE_AFTER.match(text):
            words, text = self.split_condition(text)
            yield replace(frame, text=words, action="wait")
        elif (match := _WAIT.match(text)) and re.search(SPAN, match.group(1), re.IGNORECASE):
            yield replace(frame, text=match.group(1).strip(" ,"), action="wait")
            text = text[match.end() :].strip(" ,")
        if not text:
            return
        if self.starts_with_verb(text) and (match := _TRAILING_CONDITION.fullmatch(text)):
            contrary = _OTHERWISE.fullmatch(match.group(2))
            frame = (
                replace(frame, otherwise=match.group(2)) if contrary else replace(frame, condition=_IF.sub("", match.group(2)))
            )
            text = match.group(1)
        match = self._leading.match(text)
        verb = match.group(1).lower() if match else ""
        text = text[match.start(1) :] if match else text
        yield replace(frame, text=text, verb=verb, action=ACTIONS.get(verb, "other"), refers=bool(_PRONOUN.search(text)))
