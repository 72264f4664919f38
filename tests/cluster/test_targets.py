"""What a node takes for its own."""

from flashpy.cluster.node.targets import Targets
from flashpy.cluster.summary import Probe


def test_what_is_handed_is_ours_until_it_is_disowned() -> None:
    """And no more than so many targets are remembered: those that were handed over last."""
    targets = Targets(most=2)
    for target in (b"/a", b"/b", b"/a", b"/c"):
        targets.handed(target)
    assert (b"/a" in targets, b"/b" in targets, b"/c" in targets, len(targets)) == (True, False, True, 2)
    targets.disown([b"/a", b"/x"])
    assert b"/a" not in targets


def test_the_summary_has_what_was_at_hand() -> None:
    """As far as a Bloom filter can tell."""
    targets = Targets()
    targets.handed(b"/a")
    targets.handed(b"/b")
    targets.answered(b"/a", at_hand=True)
    targets.answered(b"/b", at_hand=False)
    targets.answered(b"/x", at_hand=True)
    summary = targets.summary()
    assert summary.has(Probe.of(b"/a"))
    assert not summary.has(Probe.of(b"/b")) and not summary.has(Probe.of(b"/x"))
