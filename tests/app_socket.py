"""A browser without a window: speaks Streamlit's protocol over its websocket and keeps every byte that comes."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

WIDGET = re.compile(r"\$\$ID-[0-9a-f]+-[^\"\s\x00-\x1f]+")


class AppSocket:
    """One open page of the app at `address`, with a cookie; `frames` is all it was sent."""

    def __init__(self, address: str, cookie: str, resume: str = "") -> None:
        self.frames: list[bytes] = []
        protocols: Any = ["streamlit", "token", resume] if resume else ["streamlit"]
        self._open = ExitStack()
        opening = connect(
            f"{address.replace('http', 'ws', 1)}/_stcore/stream",
            origin=address,  # pyright: ignore[reportArgumentType]
            additional_headers={"Cookie": cookie},
            subprotocols=protocols,
            max_size=None,
        )
        self._socket = self._open.enter_context(opening)

    def close(self) -> None:
        """Close the page."""
        self._open.close()

    def send(self, message: BackMsg) -> None:
        """Send a message and wait for nothing."""
        self._socket.send(message.SerializeToString())

    def run(self, widgets: Iterable[tuple[str, str, Any]] = (), seconds: float = 30, **state: str) -> list[ForwardMsg]:
        """Run the script and return what comes until it ends, or until `seconds` are over.

        `widgets` are (id, kind of value, value); `state` sets page, query and fragment as the browser would.
        """
        message = BackMsg()
        message.rerun_script.query_string = ""
        for name, value in state.items():
            setattr(message.rerun_script, name, value)
        for widget, kind, value in widgets:
            one = message.rerun_script.widget_states.widgets.add(id=widget)
            if isinstance(value, list):
                getattr(one, kind).data.extend(value)
            elif kind == "string_trigger_value":
                one.string_trigger_value.data = value
            else:
                setattr(one, kind, value)
        self.send(message)
        return self._come(seconds)

    def _come(self, seconds: float) -> list[ForwardMsg]:
        came: list[ForwardMsg] = []
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                frame = self._socket.recv(left)
            except TimeoutError:
                break
            assert isinstance(frame, bytes)
            self.frames.append(frame)
            came.append(ForwardMsg.FromString(frame))
            if came[-1].WhichOneof("type") == "script_finished":
                break
        return came

    @property
    def text(self) -> str:
        """Everything that came, as text."""
        return "\n".join(frame.decode("utf-8", "ignore") for frame in self.frames)

    @property
    def widgets(self) -> set[str]:
        """The ids of all widgets that came."""
        return set(WIDGET.findall(self.text))


def pages(messages: Iterable[ForwardMsg]) -> dict[str, str]:
    """Return the hash of every page in a navigation, by its title."""
    found = [one.navigation for one in messages if one.WhichOneof("type") == "navigation"]
    return {page.page_name: page.page_script_hash for page in found[-1].app_pages} if found else {}


def session_id(messages: Iterable[ForwardMsg]) -> str:
    """Return the session's id."""
    return next(one.new_session.initialize.session_id for one in messages if one.WhichOneof("type") == "new_session")
