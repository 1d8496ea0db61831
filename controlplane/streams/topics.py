"""What answers depend on, so that a change touches only those that it can make different."""

from collections.abc import Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

Q = TypeVar("Q", bound=Hashable)


class Topic(NamedTuple):
    """A kind of dependency and what it is on."""

    kind: str
    name: tuple[object, ...] | str


class TopicIndex(Generic[Q]):
    """Questions by the topics of their answers."""

    def __init__(self) -> None:
        self._topics: dict[Q, frozenset[Topic]] = {}
        self._questions: dict[Topic, dict[Q, None]] = {}

    def touched(self, topics: Iterable[Topic]) -> dict[Q, None]:
        """The questions whose answers depend on any of these, each once."""
        return {question: None for topic in topics for question in self._questions.get(topic, ())}

    def follow(self, question: Q, *, topics: frozenset[Topic]) -> None:
        """From now on the answer depends on exactly these."""
        before = self._topics.get(question, frozenset())
        if before == topics:
            return
        self._topics[question] = topics
        for topic in topics - before:
            self._questions.setdefault(topic, {})[question] = None
        self._leave(question, topics=before - topics)

    def forget(self, question: Q) -> None:
        """Nobody asks it any more. May be repeated."""
        self._leave(question, topics=self._topics.pop(question, frozenset()))

    def _leave(self, question: Q, *, topics: Iterable[Topic]) -> None:
        for topic in topics:
            questions = self._questions[topic]
            del questions[question]
            if not questions:
                del self._questions[topic]
