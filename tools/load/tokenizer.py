"""The model's own tokenizer, without transformers: what a token is, and text of a given length."""

from pathlib import Path

from tokenizers import Tokenizer as RawTokenizer

from knowledge.errors import BadModel

_NEARBY = (0, -1, 1, -2, 2, -3, 3)


class Tokenizer:
    """Counts the way a server counts: special tokens that it puts around a prompt included."""

    def __init__(self, raw: RawTokenizer) -> None:
        raw.no_truncation()
        raw.no_padding()
        self._raw = raw
        self.special_tokens = len(raw.encode("").ids)
        """Tokens that stand around every text, e.g. 1 for a BOS."""

    @classmethod
    def from_folder(cls, folder: Path | str) -> "Tokenizer":
        """Read `folder`/tokenizer.json. Raises BadModel."""
        path = Path(folder) / "tokenizer.json"
        if not path.is_file():
            raise BadModel(
                f"в папке модели нет tokenizer.json: {path.parent}",
                "Сохраните модель вместе с быстрым токенизатором (tokenizer.save_pretrained)",
            )
        try:
            return cls(RawTokenizer.from_str(path.read_text(encoding="utf-8")))
        except Exception as error:  # the Rust library raises nothing narrower
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BadModel(
                f"tokenizer.json не читается: {path} ({reason})", "Скачайте модель заново"
            ) from error

    @property
    def vocab_size(self) -> int:
        return int(self._raw.get_vocab_size())

    def encode(self, text: str) -> list[int]:
        """Token ids of the text alone, without the special tokens around it."""
        return self._raw.encode(text, add_special_tokens=False).ids

    def leading_ids(self) -> list[int]:
        """Special tokens that the model expects before a text: a BOS, or nothing."""
        encoding = self._raw.encode("a")
        return encoding.ids[: encoding.special_tokens_mask.index(0)]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Start and end of every token, in characters."""
        return self._raw.encode(text, add_special_tokens=False).offsets

    def decode(self, ids: list[int]) -> str:
        return str(self._raw.decode(ids, skip_special_tokens=True))

    def count(self, text: str) -> int:
        """Tokens of the text as a prompt, special tokens included."""
        return len(self._raw.encode(text).ids)

    def cut(self, text: str, tokens: int) -> str:
        """The longest start of `text` that counts `tokens`, or the nearest below where none does.

        A cut inside a word can change how its pieces merge, so every cut is counted again.
        """
        return self.cut_and_count(text, tokens)[0]

    def cut_and_count(self, text: str, tokens: int) -> tuple[str, int]:
        """`cut` with the count of what it gives: usually `tokens`."""
        offsets = self.offsets(text)
        if len(offsets) + self.special_tokens <= tokens:
            return text, len(offsets) + self.special_tokens
        wanted = max(tokens - self.special_tokens, 0)
        nearest = ("", self.special_tokens)
        for nudge in _NEARBY:
            last = wanted + nudge
            if not 0 < last <= len(offsets):
                continue
            piece = text[: offsets[last - 1][1]]
            counted = self.count(piece)
            if counted == tokens:
                return piece, counted
            if nearest[1] < counted < tokens:
                nearest = (piece, counted)
        return nearest

    def plain_pieces(self) -> tuple[str, ...]:
        """Texts of single printable ASCII tokens, in the order of their ids: random prompts."""
        pieces = (self._raw.decode([i], skip_special_tokens=True) for i in range(self.vocab_size))
        return tuple(p for p in pieces if p.strip() and p.isascii() and p.isprintable())
