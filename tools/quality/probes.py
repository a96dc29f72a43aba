"""Fixed prompts for greedy answers: real text to go on with, and short questions that end."""

from tools.quality.ask import Prompted
from tools.quality.text import held_out

CONTINUE_TOKENS = 16
CHAT_TOKENS = 24
_CONTEXT_CHARACTERS = 400


def probes() -> tuple[Prompted, ...]:
    """The same for the same Python. Two of them differ in their last words only."""
    texts = [str(piece) for piece in held_out(None, 10, _CONTEXT_CHARACTERS // 4)]
    going_on = [
        Prompted(f"text-{i}", prompt=_whole_words(t), max_tokens=CONTINUE_TOKENS)
        for i, t in enumerate(texts[:6])
    ]
    # A cache that looks at the beginning of a prompt gives these the same answer.
    twins = [
        Prompted("twin-a", prompt=f"{going_on[0].prompt}\n\nThe first reason is"),
        Prompted("twin-b", prompt=f"{going_on[0].prompt}\n\nOne, two, three, four,"),
    ]
    return (*going_on, *twins, *_CHATS)


def _whole_words(text: str) -> str:
    """Without the last, perhaps cut, word and the space before it."""
    return text.rsplit(maxsplit=1)[0]


_CHATS = tuple(
    Prompted(f"chat-{i}", messages=turns, max_tokens=CHAT_TOKENS)
    for i, turns in enumerate(
        (
            (("user", "What is the capital of France?"),),
            (("user", "What is 2 + 2? Answer with one number."),),
            (("system", "You answer in one short sentence."), ("user", "What color is the sky?")),
            (
                ("user", "Say hello."),
                ("assistant", "Hello!"),
                ("user", "Now say goodbye."),
            ),
        )
    )
)
"""Short answers: where a model that is well served stops by itself."""
