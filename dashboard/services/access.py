"""Who looks at a page, and what their role allows."""

from __future__ import annotations

from dataclasses import dataclass

from rlhf_core.errors import AccessError

READ, JUDGE, MANAGE = "read", "judge", "manage"
RIGHTS = {
    "owner": frozenset({READ, JUDGE, MANAGE}),
    "reviewer": frozenset({READ, JUDGE}),
    "labeller": frozenset({JUDGE}),
    "": frozenset[str](),
}


@dataclass(frozen=True)
class Visitor:
    """Somebody with a role; in local mode without a name, which they give themselves."""

    name: str
    role: str

    def may(self, right: str) -> bool:
        """Say whether the role allows it."""
        return right in RIGHTS[self.role]

    def require(self, right: str) -> None:
        """Refuse who may not.

        Raises:
            AccessError: the role does not allow it.
        """
        if not self.may(right):
            raise AccessError(f"your role does not allow to {right} here", remedy="Ask the owner of this studio")


NOBODY = Visitor("", "")
AT_THE_KEYBOARD = Visitor("", "owner")
"""Local mode: whoever sits at this machine."""
