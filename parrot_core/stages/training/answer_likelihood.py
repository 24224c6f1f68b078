"""How likely a model finds given answers.

``python -m … MODEL QUERIES SCORES MAX_LENGTH [TOKENIZER]``, see :mod:`.likelihoods`.
A process of its own, so that a model's memory goes with it. A query's answers are computed as one
prefix tree (see ``training/prefix_trees``) where the model's attention allows it.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from parrot_core.engines.types import Message
from parrot_core.errors import ParrotError, UserError
from parrot_core.stages.training.fit import fit_pair
from parrot_core.stages.training.prefix_trees import IGNORED, PrefixTree, tree_mask


class AnswerLikelihood:
    """A loaded model that says how likely it finds answers."""

    def __init__(
        self, model: Path | str, max_length: int, tokenizer: Path | str | None = None
    ) -> None:
        """Load it: on a GPU in the precision it was stored in, else in 32 bits.

        Args:
            tokenizer: whose tokenizer and chat template to take; the model's own when not given.

        Raises:
            UserError: the model has no chat template to show it a conversation with.
        """
        self._tokenizer: Any = AutoTokenizer.from_pretrained(tokenizer or model)
        if self._tokenizer.chat_template is None:
            raise UserError(f"{tokenizer or model}: its tokenizer has no chat template")
        gpu = torch.cuda.is_available()
        self._device = torch.device("cuda" if gpu else "cpu")
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            model, dtype="auto" if gpu else torch.float32
        )
        self._model = loaded.to(self._device).eval()
        self._max_length = max_length
        self._shares_prompt = _attends_to_all(self._model.config)

    def score(
        self, prompt: Sequence[Message], answers: Sequence[Sequence[Message]]
    ) -> list[tuple[float, int]] | None:
        """Sum of log-probabilities (nats) of each answer and its number of tokens.

        The end of the turn is counted with the answer, as DPO trains it. The oldest turns of a
        prompt that is too long are left out, for all answers alike.

        Returns:
            One entry an answer; None if not even the last query fits with the longest answer.
        """
        kept, _ = fit_pair(prompt, answers, self._length, self._max_length)
        if prompt and not kept:
            return None
        opening = self._render(kept, generation=True) if kept else self._beginning(answers[0])
        prompt_ids = self._ids(opening)
        answer_ids = [self._answer_ids(kept, opening, answer) for answer in answers]
        if not self._shares_prompt:
            return [self._score_tree(prompt_ids, [ids])[0] for ids in answer_ids]
        return self._score_tree(prompt_ids, answer_ids)

    def _score_tree(self, prompt: list[int], answers: list[list[int]]) -> list[tuple[float, int]]:
        tree = PrefixTree(prompt)
        starts = [tree.branch(answer) for answer in answers]
        segments = torch.tensor([tree.segments], device=self._device)
        inputs = {"attention_mask": tree_mask(segments)} if len(answers) > 1 else {}
        labels = torch.tensor(tree.labels, device=self._device)
        learned = torch.nonzero(labels != IGNORED).flatten()
        with torch.no_grad():
            output = self._model(
                input_ids=torch.tensor([tree.ids], device=self._device),
                position_ids=torch.tensor([tree.positions], device=self._device),
                logits_to_keep=learned,
                **inputs,
            )
        logps = torch.log_softmax(output.logits[0].float(), dim=-1)
        token_logps = torch.zeros(len(tree.ids), dtype=torch.float64, device=self._device)
        token_logps[learned] = logps.gather(1, labels[learned, None]).flatten().double()
        return [
            (float(token_logps[start : start + len(answer)].sum()), len(answer))
            for start, answer in zip(starts, answers, strict=True)
        ]

    def _answer_ids(
        self, prompt: Sequence[Message], opening: str, answer: Sequence[Message]
    ) -> list[int]:
        """Tokens of an answer as the model would have to write it, to the end of its turn."""
        whole = self._render([*prompt, *answer], generation=False)
        if not whole.startswith(opening):
            raise ParrotError(
                "the chat template writes an answer elsewhere than where it lets one be generated; "
                f"expected {opening[-40:]!r} before it"
            )
        return self._ids(whole[len(opening) :].rstrip())

    def _beginning(self, answer: Sequence[Message]) -> str:
        """What a template writes before a conversation's first message."""
        whole = self._render(answer, generation=False)
        return whole[: whole.rindex(answer[0]["content"].strip())]

    def _render(self, messages: Sequence[Message], *, generation: bool) -> str:
        turns = [{"role": m["role"], "content": m["content"]} for m in messages]
        text: str = self._tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=generation
        )
        return text

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _length(self, messages: Sequence[Message]) -> int:
        return len(self._ids(self._render(messages, generation=False)))


def _attends_to_all(config: Any) -> bool:
    """Whether the model would heed a tree's mask: full attention, through sdpa."""
    if config._attn_implementation != "sdpa":
        return False
    kinds = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    window = getattr(config, "sliding_window", None)
    return not kinds and not (window and getattr(config, "use_sliding_window", True))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def main(arguments: Sequence[str]) -> int:
    """Score a file of queries, and say a line for each.

    Scores are added to what the file has. The last line of standard error says what went wrong.
    """
    model, queries, scores, max_length, *tokenizer = arguments
    try:
        scorer = AnswerLikelihood(model, int(max_length), *tokenizer)
        with Path(scores).open("a", encoding="utf-8") as file:
            for query in _lines(Path(queries)):
                found = scorer.score(query["prompt"], query["answers"])
                file.write(json.dumps({"id": query["id"], "scores": found}) + "\n")
                file.flush()
                print(query["id"], flush=True)
    except ParrotError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
