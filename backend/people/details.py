"""Hands and faces of the people who were found."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from ..landmarks.face import FaceLook, FaceModel
from ..landmarks.hands import HandLook, HandModel
from ..landmarks.wholebody import observe
from ..stages import Frame, Sighting
from .body import Body
from .track import Track

_HAND_EVERY = 2  # frames between looking for a hand that was not there


class Details:
    """Hands and face of one person in one frame, being looked at."""

    def __init__(self, hand: HandModel, face: FaceModel, track: Track, frame: Frame, pool: ThreadPoolExecutor) -> None:
        self._frame, self._track, self._body = frame, track, Body(track.pose, track.consistency)
        self._hands: list[Future[HandLook | None] | None] = []
        for side, last in enumerate(track.hands):
            # A hand that was not there is not looked for in every frame: that costs as much as a hand that is.
            track.hand_pause[side] = 0 if last else (track.hand_pause[side] + 1) % _HAND_EVERY
            due = last is not None or track.hand_pause[side] == 1
            self._hands.append(pool.submit(hand.look, frame.rgb, track.pose, side, last) if due else None)
        self._face: Future[FaceLook | None] = pool.submit(face.look, frame.rgb, track.pose, track.face)

    def sighting(self) -> Sighting:
        """Wait for them and put everything together."""
        hands, face = [hand.result() if hand else None for hand in self._hands], self._face.result()
        self._track.hands, self._track.face = hands, face
        return Sighting(self._track.number, observe(self._frame, self._body.look, hands, face, self._body.consistency))
