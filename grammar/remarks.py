"""The comments of a file, dealt out in order to the code they stand by."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from .source import Span
from .syntax import Comment


class Remarks:
    """A cursor over comments in source order; each is taken once."""

    def __init__(self, comments: Sequence[Comment]) -> None:
        self._comments = sorted(comments, key=lambda comment: comment.span.start)
        self._starts = [comment.span.start for comment in self._comments]
        self._next = 0

    def inside(self, span: Span) -> bool:
        """Whether a comment that is not taken yet begins within `span`."""
        first = bisect_left(self._starts, span.start, self._next)
        return first < len(self._starts) and self._starts[first] < span.end

    def before(self, position: int) -> list[Comment]:
        """Take all comments that begin before `position`."""
        end = bisect_left(self._starts, position, self._next)
        taken = self._comments[self._next : end]
        self._next = max(self._next, end)
        return taken

    def trailing(self, position: int | None) -> list[Comment]:
        """Take the comments that follow code on its line and begin before `position` (None: the end of the file)."""
        first = self._next
        while self._next < len(self._comments):
            comment = self._comments[self._next]
            if comment.own_line or (position is not None and comment.span.start >= position):
                break
            self._next += 1
        return self._comments[first : self._next]

    def rest(self) -> list[Comment]:
        """Take all that are left."""
        taken = self._comments[self._next :]
        self._next = len(self._comments)
        return taken
