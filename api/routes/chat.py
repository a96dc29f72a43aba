"""OpenAI's chat: POST /v1/chat/completions and GET /v1/models, so that its clients are ours."""

import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse

from advisor.consultation import Message
from api.auth import Reader, ServiceDep
from api.chat.answer import answer
from api.chat.schemas import (
    ChatChoice,
    ChatChoiceMessage,
    ChatCompletion,
    ChatRequest,
    ModelCard,
    ModelList,
    usage_of,
)
from api.errors import ApiError

router = APIRouter(prefix="/v1", tags=["chat"])
MODEL = "advisor"
_DONE = b"data: [DONE]\n\n"


@router.get("/models", operation_id="listModels", summary="Модели чата")
async def models(who: Reader) -> ModelList:
    """Одна: advisor."""
    return ModelList(data=[ModelCard()])


@router.get("/models/{model}", operation_id="getModel", summary="Модель чата")
async def model(model: Annotated[str, Path(max_length=200)], who: Reader) -> ModelCard:
    """То же для одной."""
    _known(model)
    return ModelCard()


@router.post(
    "/chat/completions",
    operation_id="createChatCompletion",
    summary="Чат",
    response_model=ChatCompletion,
    responses={
        200: {"content": {"text/event-stream": {}}, "description": "Ответ; при stream — SSE"},
        404: {"description": "Такой модели нет"},
    },
)
async def chat(request: ChatRequest, who: Reader, service: ServiceDep) -> Response:
    """Вопросы об inference и команды: «оптимизируй demo», «как дела с сессией …»."""
    _known(request.model)
    messages = _dialogue(request)
    chat_id, created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
    stream = bool(request.stream)
    pieces = answer(messages, service, who, live=stream)
    if stream:
        chunks = _chunks(request, pieces, chat_id, created)
        return StreamingResponse(
            chunks, media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )
    text = "".join([piece async for piece in pieces])
    completion = ChatCompletion(
        id=chat_id,
        created=created,
        model=MODEL,
        choices=[ChatChoice(message=ChatChoiceMessage(content=text))],
        usage=usage_of(request.messages, text),
    )
    return Response(completion.model_dump_json(), media_type="application/json")


def _known(model: str) -> None:
    if model != MODEL:
        raise ApiError(
            404, "model_not_found", f"Модели {model!r} нет", f"Есть: {MODEL}", param="model"
        )


def _dialogue(request: ChatRequest) -> list[Message]:
    """The history up to the user's last message: what follows it is an unfinished answer."""
    messages = [message.as_message() for message in request.messages]
    while messages and messages[-1].role != "user":
        messages.pop()
    if not messages:
        raise ApiError(
            400, "invalid_value", "messages: нет ни одного сообщения user", param="messages"
        )
    return messages


async def _chunks(
    request: ChatRequest, pieces: AsyncIterator[str], chat_id: str, created: int
) -> AsyncIterator[bytes]:
    head = {"id": chat_id, "object": "chat.completion.chunk", "created": created, "model": MODEL}
    with_usage = bool(request.stream_options and request.stream_options.include_usage)
    empty = {"usage": None} if with_usage else {}

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return _data({**head, "choices": [choice], **empty})

    said: list[str] = []
    yield chunk({"role": "assistant", "content": ""})
    async for piece in pieces:
        if piece:
            said.append(piece)
            yield chunk({"content": piece})
        else:
            yield b": ping\n\n"
    yield chunk({}, "stop")
    if with_usage:
        usage = usage_of(request.messages, "".join(said)).model_dump()
        yield _data({**head, "choices": [], "usage": usage})
    yield _DONE


def _data(value: dict[str, object]) -> bytes:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n".encode()
