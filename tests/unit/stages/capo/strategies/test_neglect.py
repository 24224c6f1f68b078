from tests.support.lakes.negatives import QUERY, write
from tests.support.lakes.scripted_model import ScriptedModel


def test_the_query_is_answered_with_no_history_at_all() -> None:
    model = ScriptedModel(lambda _, __: " The tallest man was 2.72 m. ")
    negative = write("neglect", model)
    assert negative.text == "The tallest man was 2.72 m."
    assert negative.evidence is None
    assert [messages for _, messages, _ in model.calls] == [
        [{"role": "user", "content": QUERY.query}]
    ]
