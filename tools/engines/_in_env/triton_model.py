"""What Triton's Python back end runs: one checkpoint in transformers, a batch at a time.

Requests that Triton joined are generated together, greedily, with their KV cache; a token of each
goes out as soon as it is there, and the batch ends with its longest answer.
"""

import json
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb_utils
from transformers import AutoModelForCausalLM, AutoTokenizer

_USUAL_TOKENS = 16
_UNFINISHED = "\N{REPLACEMENT CHARACTER}"


class _Answer:
    """One request on its way."""

    def __init__(self, request: Any, tokenizer: Any) -> None:
        self.sender = request.get_response_sender()
        self._request, self._tokenizer = request, tokenizer
        options = json.loads(request.parameters() or "{}")
        self.prompt = _input(request, "text_input", b"").decode()
        self.left = int(_input(request, "max_tokens", options.get("max_tokens", _USUAL_TOKENS)))
        self.ignores_eos = bool(_input(request, "ignore_eos", options.get("ignore_eos", False)))
        self._ids: list[int] = []
        self._shown = self._given = self.prompt_tokens = 0
        self.done = False

    def give(self, token: int, ends: set[int]) -> None:
        """Send what the token adds to the text; the last one closes the stream."""
        if self.done:
            return
        self.left -= 1
        self._given += 1
        stopped = token in ends and not self.ignores_eos
        if not stopped:
            self._ids.append(token)
        last = stopped or self.left <= 0 or self._request.is_cancelled()
        text = self._tokenizer.decode(self._ids, skip_special_tokens=True)
        whole = last or not text.endswith(_UNFINISHED)
        self._send(text[self._shown :] if whole else "", last=last)
        self._shown = len(text) if whole else self._shown
        self.done = last

    def fail(self, error: Exception) -> None:
        """The stream ends with an error instead."""
        if not self.done:
            failure = pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
            self.sender.send(failure, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            self.done = True

    def _send(self, text: str, *, last: bool) -> None:
        counts = {"output_tokens": self._given, "input_tokens": self.prompt_tokens}
        outputs = [
            pb_utils.Tensor("text_output", np.array([[text.encode()]], dtype=np.object_)),
            *(pb_utils.Tensor(n, np.array([[v]], dtype=np.int32)) for n, v in counts.items()),
        ]
        flags = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL if last else 0
        self.sender.send(pb_utils.InferenceResponse(output_tensors=outputs), flags=flags)


def _input(request: Any, name: str, usual: Any) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return usual if tensor is None else tensor.as_numpy().flatten()[0]


class TritonPythonModel:
    """The interface that the back end looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        given = json.loads(args["model_config"])["parameters"]
        value = {name: entry["string_value"] for name, entry in given.items()}
        if int(value["threads"]):
            torch.set_num_threads(int(value["threads"]))
        dtype = value["dtype"] if value["dtype"] == "auto" else getattr(torch, value["dtype"])
        self._device = "cuda" if args["model_instance_kind"] == "GPU" else "cpu"
        self._tokenizer = AutoTokenizer.from_pretrained(
            value["model"], local_files_only=True, trust_remote_code=False, padding_side="left"
        )
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._network = (
            AutoModelForCausalLM.from_pretrained(
                value["model"], dtype=dtype, local_files_only=True, trust_remote_code=False
            )
            .to(self._device)
            .eval()
        )
        ends = self._network.generation_config.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends])

    def execute(self, requests: list[Any]) -> None:
        answers = [_Answer(request, self._tokenizer) for request in requests]
        try:
            with torch.inference_mode():
                self._generate(answers)
        except Exception as error:  # noqa: BLE001 - the stream must end, or its client waits
            for answer in answers:
                answer.fail(error)

    def _generate(self, answers: list[_Answer]) -> None:
        given = self._tokenizer(
            [answer.prompt for answer in answers], return_tensors="pt", padding=True
        ).to(self._device)
        tokens, mask, cache = given["input_ids"], given["attention_mask"], None
        for answer, count in zip(answers, mask.sum(-1).tolist(), strict=True):
            answer.prompt_tokens = count
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        while not all(answer.done for answer in answers):
            found = self._network(
                input_ids=tokens, attention_mask=mask, position_ids=positions,
                past_key_values=cache, use_cache=True, logits_to_keep=1,
            )  # fmt: skip
            cache = found.past_key_values
            tokens = found.logits[:, -1].argmax(-1, keepdim=True)
            for answer, token in zip(answers, tokens[:, 0].tolist(), strict=True):
                answer.give(token, self._ends)
            mask = torch.cat([mask, torch.ones_like(tokens)], dim=-1)
            positions = positions[:, -1:] + 1
