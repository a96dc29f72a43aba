"""OpenAI's chat request as clients really send it: what we don't know is ignored, not refused."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from advisor.consultation import Message

_Name = Annotated[str, StringConstraints(max_length=200)]


class ChatMessage(BaseModel):
    """One message. Content may be text, a list of parts, or null (an assistant's tool call)."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None

    def text(self) -> str:
        """The text of all parts; pictures and sound are left out."""
        if isinstance(self.content, list):
            parts = [p.get("text") for p in self.content if p.get("type") in ("text", "input_text")]
            return "\n".join(part for part in parts if isinstance(part, str))
        return self.content or ""

    def as_message(self) -> Message:
        """The consultation's own form."""
        role = {"developer": "system", "function": "tool"}.get(self.role, self.role)
        return Message.model_validate({"role": role, "content": self.text()})


class StreamOptions(BaseModel):
    """OpenAI's stream_options."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """POST /v1/chat/completions. temperature, n, tools and the like are accepted and ignored."""

    model_config = ConfigDict(
        extra="ignore",
        json_schema_extra={
            "examples": [
                {
                    "model": "advisor",
                    "messages": [{"role": "user", "content": "Влезет ли Llama 70B в две A100-80?"}],
                },
                {
                    "model": "advisor",
                    "stream": True,
                    "messages": [{"role": "user", "content": "оптимизируй demo, бюджет 30m"}],
                },
            ]
        },
    )

    model: _Name = "advisor"
    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    stream: bool | None = False
    stream_options: StreamOptions | None = None


class ChatChoiceMessage(BaseModel):
    """What the assistant says."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class ChatChoice(BaseModel):
    """There is one."""

    index: int = 0
    message: ChatChoiceMessage
    finish_reason: Literal["stop"] = "stop"
    logprobs: None = None


class Usage(BaseModel):
    """Estimated from the length of the texts: no tokenizer is at work where there is no LLM."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(BaseModel):
    """The whole answer."""

    id: str = Field(examples=["chatcmpl-5f2c"])
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str | None = None


class ModelCard(BaseModel):
    """One line of GET /v1/models."""

    id: str = "advisor"
    object: Literal["model"] = "model"
    created: int = 1763856000
    owned_by: str = "inference-advisor"


class ModelList(BaseModel):
    """GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


def usage_of(messages: list[ChatMessage], answer: str) -> Usage:
    """About four bytes a token in English and two letters in Russian: both are 4 bytes of UTF-8."""
    asked = sum(len(m.text().encode()) for m in messages)
    prompt, completion = -(-asked // 4), -(-len(answer.encode()) // 4)
    return Usage(
        prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion
    )
