"""What a run found, for people and for programs."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from memapp.check.deployment import Target
from memapp.check.findings import Tally, Wrong


@dataclass(frozen=True, slots=True)
class Timing:
    """How long requests of one kind took.

    Attributes:
        requests: How many were answered.
        p50: Median, in milliseconds.
        p95: In milliseconds.
        p99: In milliseconds.
    """

    requests: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a run.

    Attributes:
        urls: What was tested.
        writes: Memories that the clients tried to write.
        seconds: How long they worked.
        findings: How many of each kind; all kinds are there.
        examples: The first few, in words.
        workers: Answers by worker.
        timings: By kind of request.
        unavailable: Answers 503 and broken connections that were tried again.
        slowest_unavailable: How long the slowest answer 503 took, in seconds.
    """

    urls: Sequence[str]
    writes: int
    seconds: float
    findings: Mapping[str, int]
    examples: Sequence[str]
    workers: Mapping[str, int]
    timings: Mapping[str, Timing]
    unavailable: int
    slowest_unavailable: float

    @classmethod
    def of(cls, target: Target, tally: Tally, *, writes: int, seconds: float) -> "Report":
        """Sum up what all clients saw."""
        return cls(
            urls=list(target.urls),
            writes=writes,
            seconds=round(seconds, 2),
            findings={wrong.value: tally.findings[wrong] for wrong in Wrong},
            examples=[f"{finding.wrong}: {finding.detail}" for finding in tally.examples],
            workers=dict(sorted(tally.workers.items())),
            timings={kind: _timing(seconds) for kind, seconds in sorted(tally.seconds.items())},
            unavailable=tally.unavailable,
            slowest_unavailable=round(tally.slowest_unavailable, 3),
        )

    def is_clean(self, *, workers: int) -> bool:
        """Tell whether nothing was wrong and at least so many workers took part."""
        return not any(self.findings.values()) and len(self.workers) >= workers

    def as_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)

    def as_text(self, *, workers: int) -> str:
        """Return it for people; the last line says whether the deployment passed."""
        lines = [
            f"{self.writes} memories in {self.seconds:.1f} s, "
            f"answered by {len(self.workers) or 'unnamed'} workers"
        ]
        lines += [
            f"  {kind:7} {timing.requests:6} requests   "
            f"p50 {timing.p50:.0f} ms   p95 {timing.p95:.0f} ms   p99 {timing.p99:.0f} ms"
            for kind, timing in self.timings.items()
        ]
        if self.unavailable:
            lines.append(
                f"  {self.unavailable} attempts met an unavailable service and were repeated; "
                f"the slowest 503 took {self.slowest_unavailable:.1f} s"
            )
        lines.append("  ".join(f"{count} {wrong}" for wrong, count in self.findings.items()))
        lines += [f"  {example}" for example in self.examples]
        if len(self.workers) < workers:
            lines.append(f"  {len(self.workers)} workers answered, and there should be {workers}")
        lines.append("PASSED" if self.is_clean(workers=workers) else "FAILED")
        return "\n".join(lines)


def _timing(seconds: Sequence[float]) -> Timing:
    hundredths = statistics.quantiles([*seconds, *seconds], n=100, method="inclusive")
    p50, p95, p99 = (round(hundredths[n - 1] * 1000, 1) for n in (50, 95, 99))
    return Timing(len(seconds), p50, p95, p99)
