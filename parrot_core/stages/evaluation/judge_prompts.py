"""The judge's prompts that a recipe selects: built in, or read from a file."""

from parrot_core.benchmarks.benchmark import Benchmark
from parrot_core.benchmarks.jsonl_file import read_file, records
from parrot_core.errors import SourceError
from parrot_core.judging.grading_prompts import BUILT_IN, FastChat, JudgePrompt, fastchat_prompts
from parrot_core.recipe import Evaluate


def selected_prompt(settings: Evaluate, benchmark: Benchmark) -> JudgePrompt:
    """How the judge is asked.

    Raises:
        SourceError: the file is missing or wrong, or its prompts are for fewer turns.
    """
    url = settings.judge_prompt
    if url in BUILT_IN:
        return BUILT_IN[url]
    data = read_file(url, "judge prompts")
    found = fastchat_prompts(url, data, list(records(data, url, "an object a line")))
    longest = max((len(question.turns) for question in benchmark.questions), default=0)
    if longest > FastChat.most_turns:
        raise SourceError(
            f"{url}: its prompts grade {FastChat.most_turns} turns, the questions have up to "
            f"{longest}; set evaluate.judge_prompt: explain, or evaluate.max_turns: 2"
        )
    return found
