"""Sparkplug B: births name what aliases mean, sequence numbers tell what was lost, deaths make values stale.

A node whose birth was missed, or of which messages are missing, is asked for its births again. Values that are
historical, null or not of good quality are left out: they must not be learnt.
"""

from pipeline.core.priors import Prior
from pipeline.decode.found import Content, Found, Incoming, Item, Profile
from pipeline.decode.memory import Alias, Memory, Node
from pipeline.decode.profiles.sparkplug_payload import Metric, Payload, read_payload, rebirth, value_of
from pipeline.decode.reasons import Reason, RefusalError, Request, Skip
from pipeline.decode.times import epoch

_NAMESPACE = "spBv1.0"
#: Seconds between two requests to one node.
_ASK_EVERY_S = 60.0
_SEQUENCE = 256
#: Metrics of the protocol itself.
_CONTROL = ("Node Control/", "Device Control/", "bdSeq")


def _device(levels: tuple[str, ...]) -> str | None:
    if levels[0] != _NAMESPACE or len(levels) not in {4, 5}:
        return None
    return "/".join((levels[1], *levels[3:]))


def _claims(_content: Content) -> bool:
    return True


def _read(incoming: Incoming, _content: Content, memory: Memory) -> Found:
    """Read a message of a node or one of its devices; only the topic tells its type."""
    levels = incoming.levels
    if levels[0] != _NAMESPACE or len(levels) not in {4, 5}:
        raise RefusalError(Reason.BAD_TOPIC, "Sparkplug topics are spBv1.0/GROUP/TYPE/NODE/DEVICE")
    kind, node_id, device = levels[2], f"{levels[1]}/{levels[3]}", "/".join(levels[4:])
    payload = read_payload(incoming.payload)
    if kind == "NDEATH":
        return _node_death(memory, node_id, payload)
    if kind == "NBIRTH":
        memory.nodes.put(node_id, Node(bd_seq=_bd_seq(payload)))
    node = memory.nodes.get(node_id) or Node()
    found = Found()
    if kind == "NBIRTH" or node.seq is not None:
        _count(memory, incoming, node_id, node, payload, found)
    if kind == "DDEATH":
        node.alive.discard(device)
        return Found(dead=[""], is_metadata=True, n_lost=found.n_lost, requests=found.requests)
    if kind in {"NBIRTH", "DBIRTH"} and node.seq is not None:
        _bear(node, device, payload)
    if device not in node.alive:
        _ask(memory, incoming, node_id, found, "a birth was not seen")
        found.skipped = [Skip.BAD_KEY]
        return found
    for metric in payload.metrics:
        _take(metric, node, payload, found)
    if Skip.BAD_KEY in found.skipped:
        _ask(memory, incoming, node_id, found, "an alias was not in its birth")
    found.is_metadata = not found.items and not found.skipped
    return found


def _bear(node: Node, device: str, payload: Payload) -> None:
    """Note that a device, or the node itself, is there, and what its aliases mean."""
    node.alive.add(device)
    for metric in payload.metrics:
        if metric.alias is not None:
            node.aliases.put(metric.alias, Alias(metric.name, metric.datatype))


def _node_death(memory: Memory, node_id: str, payload: Payload) -> Found:
    """Forget a node, unless the death is that of an earlier connection."""
    node = memory.nodes.get(node_id)
    if node is None or node.bd_seq != _bd_seq(payload):
        return Found(is_metadata=True)
    memory.nodes.put(node_id, Node())
    return Found(is_metadata=True, dead=[""])


def _bd_seq(payload: Payload) -> int | None:
    """Return the number that ties a death to its birth."""
    for metric in payload.metrics:
        if metric.name == "bdSeq" and metric.raw and isinstance(metric.raw[1], int):
            return metric.raw[1]
    return None


def _count(memory: Memory, incoming: Incoming, node_id: str, node: Node, payload: Payload, found: Found) -> None:
    """Follow the sequence numbers; a gap is lost messages, and perhaps a lost birth among them."""
    seq = (payload.seq or 0) % _SEQUENCE
    if node.seq is not None and seq != node.seq:  # the same number again: delivered twice
        found.n_lost = (seq - node.seq - 1) % _SEQUENCE
        if found.n_lost:
            _ask(memory, incoming, node_id, found, f"{found.n_lost} messages are missing")
    node.seq = seq


def _ask(memory: Memory, incoming: Incoming, node_id: str, found: Found, why: str) -> None:
    """Ask a node for its births, once a minute at most."""
    group, _, node = node_id.partition("/")
    topic = f"{_NAMESPACE}/{group}/NCMD/{node}"
    if incoming.arrival_s - memory.asked_s.get(topic, float("-inf")) >= _ASK_EVERY_S:
        memory.asked_s.put(topic, incoming.arrival_s)
        found.requests.append(Request(topic, rebirth(max(0, int(incoming.arrival_s * 1000))), f"{node_id}: {why}"))


def _take(metric: Metric, node: Node, payload: Payload, found: Found) -> None:
    known = None if metric.alias is None else node.aliases.get(metric.alias)
    name = metric.name or (known.name if known else "")
    if name.startswith(_CONTROL):
        return
    if not name:
        found.skipped.append(Skip.BAD_KEY)
        return
    if metric.unit or metric.low is not None or metric.high is not None:
        found.priors["", name] = Prior(metric.unit, metric.low, metric.high)
    if metric.is_historical or metric.is_null or not metric.is_good:
        skip = Skip.HISTORICAL if metric.is_historical else Skip.NULL if metric.is_null else Skip.BAD_QUALITY
        found.skipped.append(skip)
        return
    stamp_ms = metric.timestamp_ms if metric.timestamp_ms is not None else payload.timestamp_ms
    try:
        time_s = None if stamp_ms is None else epoch(float(stamp_ms))
    except RefusalError:
        found.skipped.append(Skip.BAD_TIME)
        return
    datatype = metric.datatype or (known.datatype if known else 0)
    found.items.append(Item("", name, value_of(metric.raw, datatype), time_s))


SPARKPLUG = Profile("sparkplug", "Sparkplug B, protobuf, with births and aliases", _device, _claims, _read)
