"""CBOR by the ``cbor2`` library, without what a stranger should not make us build: tagged values.

Tags are refused rather than read: one of them compiles regular expressions, others make references.
"""

from pipeline.decode.reasons import Reason, RefusalError

MAX_DEPTH = 8
#: Tags that ``cbor2`` would act on; the refusal of those beyond is ``tag_hook``'s.
_TAGS = (*range(1024), 43_000, 55_799)


def parse_cbor(payload: bytes) -> object:
    """Return plain data: lists, dicts, numbers, text, bytes, booleans and None.

    Raises:
        RefusalError: Not CBOR, nested too deep, tagged, or with a repeated key.

    Example:
        >>> parse_cbor(bytes.fromhex("81a1021901f4"))
        [{2: 500}]
    """
    import cbor2

    try:
        return cbor2.loads(
            payload,
            max_depth=MAX_DEPTH,
            allow_duplicate_keys=False,
            strict_hashable_types=False,
            semantic_decoders=dict.fromkeys(_TAGS, _refuse),
            tag_hook=_refuse,
        )
    except RefusalError:
        raise
    except (cbor2.CBORError, ValueError, OverflowError, RecursionError, TypeError, MemoryError) as error:
        raise RefusalError(Reason.MALFORMED, f"not CBOR: {error}") from None


def _refuse(*_what: object) -> object:
    raise RefusalError(Reason.MALFORMED, "CBOR with tags")
