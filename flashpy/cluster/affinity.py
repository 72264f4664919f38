"""How well it is known what the nodes have in memory: predicted against real hits."""


class Affinity:
    """Counts of requests. ``predicted``: whether the chosen node was among ``Policy.mapped`` before it was chosen;
    ``hit``: whether it then had the target in memory, or was reading it already."""

    __slots__ = ("false_hits", "false_misses", "true_hits", "true_misses")

    def __init__(self) -> None:
        self.true_hits = 0
        self.false_hits = 0
        self.true_misses = 0
        self.false_misses = 0

    def note(self, predicted: bool, hit: bool) -> None:
        """One request has been answered."""
        if predicted:
            if hit:
                self.true_hits += 1
            else:
                self.false_hits += 1
        elif hit:
            self.false_misses += 1
        else:
            self.true_misses += 1

    @property
    def predicted(self) -> int:
        """The requests that were believed to be hits."""
        return self.true_hits + self.false_hits

    @property
    def accuracy(self) -> float | None:
        """The part of the requests for which the prediction held; None: there were none."""
        right = self.true_hits + self.true_misses
        total = right + self.false_hits + self.false_misses
        return right / total if total else None
