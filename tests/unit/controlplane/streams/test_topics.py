"""Which questions a change touches."""

from linkerd2_py.controlplane.streams.topics import Topic, TopicIndex

RED, GREEN, BLUE = (Topic("colour", name) for name in ("red", "green", "blue"))


def test_a_topic_touches_those_that_depend_on_it_and_no_others() -> None:
    index: TopicIndex[str] = TopicIndex()
    index.follow("first", topics=frozenset({RED, GREEN}))
    index.follow("second", topics=frozenset({GREEN}))
    assert list(index.touched([RED])) == ["first"]
    assert set(index.touched([GREEN, RED])) == {"first", "second"}
    assert not index.touched([BLUE])


def test_an_answer_that_depends_on_other_things_is_touched_by_those_alone() -> None:
    index: TopicIndex[str] = TopicIndex()
    index.follow("first", topics=frozenset({RED, GREEN}))
    index.follow("first", topics=frozenset({GREEN, BLUE}))
    assert not index.touched([RED])
    assert list(index.touched([BLUE])) == list(index.touched([GREEN])) == ["first"]


def test_nothing_is_kept_of_a_question_that_was_forgotten() -> None:
    index: TopicIndex[str] = TopicIndex()
    index.follow("first", topics=frozenset({RED, GREEN}))
    index.forget("first")
    index.forget("first")
    assert not index.touched([RED, GREEN])
    assert not index._questions
    assert not index._topics
