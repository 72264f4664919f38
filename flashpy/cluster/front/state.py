"""How a cluster is, as its front-end knows it."""

from math import ceil

from flashpy.cluster.front.dispatcher import Dispatcher
from flashpy.cluster.front.member import Member
from flashpy.cluster.mapping import Mapping
from flashpy.report import ClusterState, NodeState


def state_of(dispatcher: Dispatcher) -> ClusterState:
    """All of it, for reports."""
    mapping = dispatcher.mapping
    return ClusterState(
        policy=dispatcher.policy_name,
        active=dispatcher.active,
        most=dispatcher.most,
        waiting=dispatcher.waiting,
        refused=dispatcher.refused,
        targets=len(mapping) if mapping is not None else 0,
        replicated=mapping.replicated if mapping is not None else 0,
        mapping_bytes=mapping.cost if mapping is not None else 0,
        nodes={member.name: _node(member, mapping) for member in dispatcher.members.values()},
    )


def _node(member: Member, mapping: Mapping | None) -> NodeState:
    reported = member.reported
    true_hits, false_hits, true_misses, false_misses = reported.predictions if reported is not None else (0, 0, 0, 0)
    return NodeState(
        standing=member.node.standing.value,
        weight=member.node.weight,
        load=ceil(member.node.load),
        handed=member.handed,
        returned=member.returned,
        relayed=member.relayed,
        fetched=reported.fetched if reported is not None else 0,
        delay=member.health.delay or 0.0,
        queued=reported.report.queued if reported is not None else 0,
        true_hits=true_hits,
        false_hits=false_hits,
        true_misses=true_misses,
        false_misses=false_misses,
        share=member.warming.share if member.warming is not None else 0,
        loaded=len(member.warming.loaded) if member.warming is not None else 0,
        targets=mapping.targets_of(member.name) if mapping is not None else 0,
    )
