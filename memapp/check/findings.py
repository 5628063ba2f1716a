"""What can be wrong with a deployment, and how often it was."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Wrong(StrEnum):
    """What a deployment must never do.

    Attributes:
        LOST: What was acknowledged is not there when everything has come to rest.
        STALE: An answer lacks what was acknowledged before it was asked for, or shows an old text.
        GHOST: What was deleted, and acknowledged as deleted, is shown.
        DUPLICATE: One memory is shown twice, or as two.
        FAILED: A request got no answer, or one that the API does not provide for.
    """

    LOST = "lost"
    STALE = "stale"
    GHOST = "ghost"
    DUPLICATE = "duplicate"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was wrong.

    Attributes:
        wrong: What kind of thing.
        detail: What was asked, what came, and from which worker; for people.
    """

    wrong: Wrong
    detail: str


@dataclass(slots=True)
class Tally:
    """What one client saw, or all of them together.

    Attributes:
        findings: How many of each kind.
        examples: The first few, for people.
        seconds: How long each answered request took, by what it asked for.
        workers: Answers by worker; empty where the deployment does not name its workers.
        unavailable: Answers 503 and broken connections that were tried again.
        slowest_unavailable: How long the slowest answer 503 took, in seconds.
    """

    findings: Counter[Wrong] = field(default_factory=Counter)
    examples: list[Finding] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    workers: Counter[str] = field(default_factory=Counter)
    unavailable: int = 0
    slowest_unavailable: float = 0.0

    EXAMPLES = 10

    def record(self, finding: Finding) -> None:
        """Count a finding."""
        self.findings[finding.wrong] += 1
        if len(self.examples) < self.EXAMPLES:
            self.examples.append(finding)

    def add(self, other: "Tally") -> None:
        """Take in what another client saw."""
        self.findings += other.findings
        self.examples = (self.examples + other.examples)[: self.EXAMPLES]
        for kind, seconds in other.seconds.items():
            self.seconds.setdefault(kind, []).extend(seconds)
        self.workers += other.workers
        self.unavailable += other.unavailable
        self.slowest_unavailable = max(self.slowest_unavailable, other.slowest_unavailable)
