"""What to do about a rejection: one sentence for each reason, for ``explain-message`` and the documentation."""

from collections.abc import Sequence

from pipeline.decode.content import MAX_PAYLOAD_BYTES
from pipeline.decode.profiles.common import MAX_DEPTH, MAX_ITEMS
from pipeline.decode.reasons import Reason
from pipeline.decode.topics import Route

_SHOWN_FILTERS = 5
_REMEDIES = {
    "ignored": "states of bridges and commands are no readings; an entry of mqtt.topics that names a "
    "profile for this very topic reads it all the same",
    Reason.BAD_TOPIC: "no stream can be named after this topic: it has an empty level, a quote, a backslash or a "
    "control character, or is too long; let the publisher use another topic",
    Reason.TOO_LARGE: f"more than {MAX_PAYLOAD_BYTES} bytes; let the publisher send fewer values per message",
    Reason.EMPTY: "nothing: an empty payload clears what the broker retained",
    Reason.NOT_TEXT: "Sparkplug B and SenML in CBOR are the binary formats that are read; name the profile in "
    "mqtt.topics[].profile if it is one of them, and let a converter publish JSON otherwise",
    Reason.MALFORMED: "if the topic belongs to a family, name it in mqtt.topics[].profile; otherwise mend the "
    "publisher's JSON",
    Reason.NESTED: f"lists, and more than {MAX_DEPTH} objects inside each other, are read with paths of your own: "
    "mqtt.topics[].profile: mapping, and its items and values",
    Reason.TOO_MANY_KEYS: f"more than {MAX_ITEMS} values; name those that matter with profile: mapping, or let the "
    "publisher send fewer",
    Reason.DUPLICATE_KEY: "an object has a key twice, and nobody knows which value counts; mend the publisher",
    Reason.BAD_KEY: "no stream can be named after these keys; of Sparkplug, the birth that names them has not come "
    "yet, and is asked for when mqtt.ask_publishers is true",
    Reason.BAD_TIME: "set the sensor's clock; if the time stands elsewhere, profile: mapping can say where",
    Reason.NOT_FINITE: "NaN and infinities are how the publisher says that it has no reading; look at the sensor",
    Reason.NO_NUMBER: "only numbers are readings; if a number stands deeper or as text, profile: mapping can say where",
}


def remedy(outcome: str, routes: Sequence[Route], *, has_route: bool = True, profile: str = "") -> str:
    """Return what to do about an outcome.

    Args:
        outcome: A reason, or ``ignored``.
        routes: What is read, told when nothing of it matches.
        has_route: Some route matches the topic.
        profile: The profile that tried; empty when it did not come to that.

    Example:
        >>> remedy("bad_topic", [Route.parse("plant/{rest}", "")], has_route=False)
        'add the topic to mqtt.topics; read are: plant/#'
    """
    if outcome == Reason.BAD_TOPIC and not has_route:
        filters = [route.filter for route in routes]
        rest = ", ..." if len(filters) > _SHOWN_FILTERS else ""
        return f"add the topic to mqtt.topics; read are: {', '.join(filters[:_SHOWN_FILTERS])}{rest}"
    if outcome == Reason.MALFORMED and profile:
        return f"{_REMEDIES[outcome]} ({profile} tried)"
    return _REMEDIES[outcome]
