"""The wire carries what it is given, and says so when it cannot."""

from __future__ import annotations

import json

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.core import protocol
from backend.core.errors import MocapError

arrays = st.sampled_from([np.float32, np.float64, np.int32, np.uint8]).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
)
texts = st.text(max_size=40)


@given(arrays)
def test_arrays_arrive_bit_for_bit(array: np.ndarray) -> None:
    received = protocol.unpack(json.loads(json.dumps(protocol.pack(array))))
    assert received.dtype == array.dtype and received.shape == array.shape
    assert received.tobytes() == array.tobytes()


def test_slices_and_other_byte_orders_arrive_as_their_values() -> None:
    array = np.arange(24, dtype=">f4").reshape(4, 6)[::2, ::-1]
    np.testing.assert_array_equal(protocol.unpack(protocol.pack(array)), array)


def test_other_types_do_not_travel() -> None:
    with pytest.raises(TypeError):
        protocol.pack(np.array(["text"]))
    with pytest.raises(ValueError):
        protocol.unpack({"dtype": "|O", "shape": [1], "data": ""})


@given(texts, texts, texts)
def test_any_text_stays_on_one_line_and_returns(code: str, what: str, fix: str) -> None:
    message = {"type": "error", "code": code, "what": what, "fix": fix}
    line = protocol.encode(message, protocol.REPLIES)
    assert line.endswith("\n") and line.count("\n") == 1
    assert protocol.decode(line, protocol.REPLIES) == message


def test_every_message_needs_all_its_fields() -> None:
    for kinds in (protocol.REQUESTS, protocol.REPLIES):
        for kind, fields in kinds.items():
            for field in fields:
                message = {"type": kind} | dict.fromkeys(fields, 1)
                del message[field]
                with pytest.raises(ValueError, match=field):
                    protocol.encode(message, kinds)
                with pytest.raises(MocapError) as caught:
                    protocol.decode(json.dumps(message), kinds)
                assert caught.value.code == "protocol-mismatch"


def test_newer_peers_are_understood_as_far_as_possible() -> None:
    assert protocol.decode('{"type": "weather", "sun": 1}', protocol.REPLIES) is None
    line = '{"type": "heartbeat", "seconds": 3.5, "mood": "fine"}'
    assert protocol.decode(line, protocol.REPLIES) == {"type": "heartbeat", "seconds": 3.5, "mood": "fine"}


@pytest.mark.parametrize(
    "line", ["", "null", "[]", "3", '"text"', "{", "{}", "not json", '{"type": "stage"}', '{"type": []}']
)
def test_what_is_not_a_message_is_a_protocol_mismatch(line: str) -> None:
    with pytest.raises(MocapError) as caught:
        protocol.decode(line, protocol.REPLIES)
    assert caught.value.code == "protocol-mismatch"


def test_damaged_arrays_are_a_protocol_mismatch() -> None:
    fields = dict.fromkeys(protocol.REPLIES["frames"], 0)
    too_short = {"dtype": "<f4", "shape": [3], "data": "AAAA"}
    not_base64 = {"dtype": "<f4", "shape": [1], "data": "%%%"}
    for bad in (too_short, not_base64, {"dtype": "<f4"}):
        with pytest.raises(MocapError):
            protocol.decode(json.dumps({"type": "frames", **fields, "rotations": bad}), protocol.REPLIES)
