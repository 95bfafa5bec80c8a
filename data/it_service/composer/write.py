"""Requirements in the styles in which people write."""

from __future__ import annotations

import random

from composer.bank import Bank
from composer.speak import Phrase
from composer.stories import Story
from composer.text import is_clause, joined, upper_first


class Writer:
    """Writes a requirement in one style out of worded steps."""

    def __init__(self, bank: Bank, rng: random.Random, story: Story, start: str) -> None:
        self.bank = bank
        self.rng = rng
        self.story = story
        self.start = start

    def write(self, phrases: list[Phrase], style: str) -> str:
        """Returns the requirement: ``sloppy``, ``exact``, ``ticket`` or ``prose``."""
        text: str = getattr(self, f"_{style}")(phrases)
        return text.replace(" ,", ",").replace("..", ".").replace("?.", "?").replace("?,", "?").replace("?;", "?").strip()

    # Sloppy.

    def _sloppy(self, phrases: list[Phrase]) -> str:
        sep = self.rng.choice([", ", ", ", " -> ", " + ", "; ", " - ", ", then "])
        body = sep.join(self._terse(self._said(phrases), sep))
        late = self.rng.random() < 0.3
        if self.story.start.kind == "schedule":
            text = f"{body} ({self.start})" if late else f"{self.start}{self.rng.choice([': ', ', ', ' - '])}{body}"
        else:
            event = self.start.split(" ", 1)[1] if self.rng.random() < 0.4 and self._marked() else self.start
            text = (
                f"{body}, {self.start}"
                if late and len(phrases) < 4 and self._marked()
                else f"{event}{self.rng.choice([': ', ' -> ', ', ', ' => '])}{body}"
            )
        text = self._shortened(text) if self.rng.random() < 0.5 else text
        extra = self.rng.choice(["", "", "", " pls", " thx", " - asap", "!", "."])
        return (upper_first(text) if self.rng.random() < 0.4 else text) + extra

    def _marked(self) -> bool:
        return self.start.split(" ", 1)[0] in ("when", "whenever", "once", "if")

    def _said(self, phrases: list[Phrase]) -> list[Phrase]:
        """Leaves out what goes without saying."""
        obvious = {
            "core.log_message",
            "core.get_catalog_variables",
            "core.add_work_note",
            "core.skip_iteration",
            "core.end_flow",
            "request.set_item_stage",
        }
        kept = [item for item in phrases if item.node.definition not in obvious or self.rng.random() < 0.45]
        return kept if len(kept) > 1 else phrases

    def _terse(self, phrases: list[Phrase], sep: str) -> list[str]:
        phrases = self._merged(phrases)
        parts: list[str] = []
        index = 0
        while index < len(phrases):
            item = phrases[index]
            follows = phrases[index + 1] if index + 1 < len(phrases) else None
            inner = self._terse(self._said(item.body), ", ") if item.body else []
            if item.form == "each":
                parts.append(f"{item.text} {joined(inner, ' and ')}" if self.rng.random() < 0.5 else joined(inner, ", "))
            elif item.form in ("if", "until"):
                text = self._if_terse(item, inner)
                if follows is not None and follows.form == "else":
                    glue = " " if is_clause(follows.text) or follows.text in self.bank.common["else"] else ": "
                    text += self.rng.choice(["; ", ". ", ", "]) + follows.text + glue
                    text += joined(self._terse(self._said(follows.body), ", "))
                    index += 1
                parts.append(text)
            elif item.form == "else":
                parts.append(f"{item.text} {joined(inner)}")
            else:
                parts.append(item.text)
            index += 1
        return parts

    def _if_terse(self, item: Phrase, inner: list[str]) -> str:
        if len(inner) == 1 and is_clause(item.text) and self.rng.random() < 0.4:
            return f"{inner[0]} {item.text}"
        if item.text.endswith("?"):
            return f"{item.text} {joined(inner)}"
        return (
            f"{item.text}{self.rng.choice([': ', ', ', ' '])}{joined(inner)}"
            if is_clause(item.text)
            else f"{item.text}: {joined(inner)}"
        )

    def _shortened(self, text: str) -> str:
        pairs: dict[str, str] = self.bank.common["abbreviations"]
        for word in self.rng.sample(sorted(pairs), k=7):
            text = text.replace(f" {word} ", f" {pairs[word]} ")
        return text

    # Whole sentences.

    @staticmethod
    def _merged(phrases: list[Phrase]) -> list[Phrase]:
        """Puts "after two days" and what is done then into one phrase."""
        out: list[Phrase] = []
        for item in phrases:
            last = out[-1] if out else None
            waits = last is not None and last.node.definition == "core.wait_for_duration" and last.form == "fragment"
            if last is not None and waits and item.form in ("verb", "clause"):
                out[-1] = Phrase(item.node, f"{last.text} {item.text}", "clause")
            else:
                out.append(item)
        return out

    def _sentences(self, phrases: list[Phrase], *, lead: str = "") -> list[str]:
        phrases = self._merged(phrases)
        out: list[str] = []
        run: list[Phrase] = []
        index = 0
        while index < len(phrases):
            item = phrases[index]
            if item.form in ("verb", "clause", "fragment"):
                run.append(item)
                index += 1
                if len(run) == self.rng.choice([2, 3, 3, 4]):
                    out.append(self._run(run, lead if not out else "", first=not out))
                    run = []
                continue
            if item.form == "each":
                out += self._each(item, run, lead if not out else "", first=not out)
            else:
                if run:
                    out.append(self._run(run, lead if not out else "", first=not out))
                other = phrases[index + 1] if index + 1 < len(phrases) and phrases[index + 1].form == "else" else None
                out += self._branch(item, other, lead if not out else "")
                index += other is not None
            run = []
            index += 1
        if run:
            out.append(self._run(run, lead if not out else "", first=not out, closing=bool(out)))
        return out

    def _run(self, run: list[Phrase], lead: str, *, first: bool = False, closing: bool = False) -> str:
        parts = [
            f"the {item.text}" if item.node.kind == "list" and item.form == "fragment" and not lead else item.text for item in run
        ]
        parts = [
            f"take {text}" if item.node.kind == "list" and item.form == "fragment" else text
            for item, text in zip(run, parts, strict=True)
        ]
        verbs = all(item.form == "verb" or item.node.kind == "list" for item in run)
        text = joined(parts, self.rng.choice([" and ", " and ", " and then ", ", then "]))
        if lead:
            modal = self.rng.choice(["", "", "", "the flow should ", "please ", "we want to "]) if verbs else ""
            return f"{lead}, {modal}{text}"
        if closing and verbs:
            return (
                self.rng.choice(
                    ["finally "]
                    if text.startswith(("end", "and"))
                    else ["finally ", "in the end ", "lastly, ", "also ", "don't forget to ", "and ", ""]
                )
                + text
            )
        return text if first else self.rng.choice(["", "", "then ", "after that ", "next, "]) + text

    def _each(self, item: Phrase, run: list[Phrase], lead: str, *, first: bool) -> list[str]:
        simple = all(inner.form in ("verb", "clause", "fragment") for inner in item.body)
        if run and simple and len(run) + len(item.body) <= 4:
            found = run[-1]
            head = [*(part.text for part in run[:-1])]
            noun = self.rng.choice(found.node.nouns) if found.node.nouns else ""
            body = joined([inner.text for inner in item.body], self.rng.choice([" and ", " and then "]))
            if noun and self.rng.random() < 0.5:
                start = f"{joined(head)}. " if head else ""
                return [f"{lead + ', ' if lead else ''}{start}{self.rng.choice(['for all ', 'for ', 'with '])}{noun}: {body}"]
            found_text = f"take {found.text}" if found.form == "fragment" else found.text
            start = f"{lead + ', ' if lead else ''}{joined([*head, found_text])}"
            return (
                [f"{start} and {item.text} {body}"]
                if item.text.startswith(("for ", "with "))
                else [start, f"{item.text}: {body}"]
            )
        out = [self._run(run, lead, first=first)] if run else []
        inner = self._sentences(item.body)
        opening = f"{item.text}{self.rng.choice([': ', ', '])}{inner[0]}"
        return [*out, opening if out or not lead else f"{lead}, {opening}", *inner[1:]]

    def _branch(self, item: Phrase, other: Phrase | None, lead: str) -> list[str]:
        prefix = f"{lead}, " if lead else ""
        if item.form == "until":
            return [f"{prefix}{item.text}: {joined([inner.text for inner in item.body])}"]
        first = self._conditional(item)
        if other is None:
            return [prefix + first[0], *first[1:]]
        second = self._conditional(other)
        if is_clause(other.text) and len(first) == len(second) == 1 and self.rng.random() < 0.3:
            return [prefix + second[0], first[0]]
        if len(first) == len(second) == 1 and len(first[0]) + len(second[0]) < 130 and self.rng.random() < 0.5:
            return [f"{prefix}{first[0]}{self.rng.choice(['; ', ', '])}{second[0]}"]
        return [prefix + first[0], *first[1:], *second]

    def _conditional(self, item: Phrase) -> list[str]:
        inner = self._sentences(item.body)
        acts = len(item.body) == 1 and item.body[0].form == "verb"
        if acts and is_clause(item.text) and item.form == "if" and self.rng.random() < 0.3:
            return [f"{item.body[0].text} {item.text}"]
        if item.text.endswith("?"):
            return [f"{item.text} {upper_first(inner[0])}", *inner[1:]]
        glue = ", " if is_clause(item.text) or (item.form == "else" and item.text in self.bank.common["else"]) else ": "
        return [f"{item.text}{glue}{inner[0]}", *inner[1:]]

    def _prose(self, phrases: list[Phrase]) -> str:
        late = self.rng.random() < 0.3
        lead = "" if late else self.start
        sentences = self._sentences(phrases, lead=lead)
        if late:
            sentences.append(self._late())
        return " ".join(upper_first(text).rstrip(".") + "." for text in sentences)

    def _late(self) -> str:
        if self.story.start.kind == "schedule":
            return self.rng.choice(["run it {t}", "this should happen {t}", "{t}, please", "it runs {t}", "do that {t}"]).format(
                t=self.start
            )
        return self.rng.choice(["all this {t}", "it starts {t}", "this is needed {t}", "do it {t}"]).format(t=self.start)

    def _exact(self, phrases: list[Phrase]) -> str:
        role = self._role()
        first = self.rng.choice(
            [*self.bank.common["openings"], *self.bank.common["openings"], "", "", f"As {role} I need the following."]
        ).format(role=role.split(" ", 1)[1])
        why = self.rng.choice(self.story.whys) if self.story.whys and self.rng.random() < 0.8 else ""
        parts = [first] if first else []
        if why and self.rng.random() < 0.5:
            parts.append(upper_first(self.rng.choice(self.bank.common["whys_first"]).format(why=why)))
            why = ""
        parts.append(self._prose(phrases))
        if why:
            parts.append(self.rng.choice(self.bank.common["whys_last"]).format(why=why))
        if self.rng.random() < 0.3:
            parts.append(self.rng.choice(self.bank.common["closings"]))
        return " ".join(parts)

    def _role(self) -> str:
        roles = self.bank.common["roles"]
        role = self.rng.choice(roles.get(self.story.scope, []) + roles["any"])
        return f"{'an' if role[0] in 'aeio' else 'a'} {role}"

    # Tickets.

    def _ticket(self, phrases: list[Phrase]) -> str:
        label = (
            self.rng.choice(self.story.labels)
            if not self.story.formal
            else self.rng.choice(["New flow", "Automation wish", "Request"])
        )
        shape = self.rng.choice(["list", "numbers", "fields", "story"])
        if shape == "story":
            why = f" Reason: {self.rng.choice(self.story.whys)}." if self.story.whys else ""
            return f"{self.rng.choice(['As', 'As'])} {self._role()} I want this: {self._prose(phrases)}{why}"
        if shape == "fields":
            body = self._prose_body(phrases)
            start = self.start
            return self.rng.choice(
                [
                    f"{label}\nTrigger: {start}\nWanted: {body}",
                    f"Subject: {label}\nWhen: {start}\nWhat: {body}",
                    f"[{label}] start: {start}. {body}",
                ]
            )
        lines = self._lines(phrases, 0, shape == "numbers")
        head = self.rng.choice(
            [
                f"{upper_first(self.start)}:",
                f"{label} ({self.start})",
                f"{label}. Starts {self.start}. Steps:",
                f"Todo, {self.start}:",
            ]
        )
        return "\n".join([head, *lines])

    def _prose_body(self, phrases: list[Phrase]) -> str:
        return " ".join(upper_first(text).rstrip(".") + "." for text in self._sentences(phrases))

    def _lines(self, phrases: list[Phrase], depth: int, numbered: bool) -> list[str]:
        lines: list[str] = []
        for number, item in enumerate(phrases, start=1):
            mark = f"{number}. " if numbered and not depth else "- "
            colon = ":" if item.body and not item.text.endswith("?") else ""
            lines.append(f"{'  ' * depth}{mark}{item.text}{colon}")
            lines += self._lines(item.body, depth + 1, numbered)
        return lines
