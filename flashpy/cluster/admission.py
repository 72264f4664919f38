"""How many connections the nodes of a cluster may have together; who comes after that waits at the front-end."""


def limit(nodes: int, t_low: float = 25, t_high: float = 65) -> int:
    """S = (n - 1) T_high + T_low - 1 (Pai et al., ASPLOS 1998, section 2.4), and 0 without nodes.

    So at most n - 2 nodes can be at T_high or above while none is below T_low, yet all can have more than T_low.
    """
    return max(1, int((nodes - 1) * t_high + t_low - 1)) if nodes > 0 else 0
