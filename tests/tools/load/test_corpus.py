import hashlib

from tools.load.corpus import HELDOUT_PART, PROMPT_PART, load_text, paragraphs, sha256


def test_the_parts_share_no_paragraph() -> None:
    prompt, heldout = load_text(PROMPT_PART), load_text(HELDOUT_PART)
    assert len(paragraphs(prompt)) > 1_000
    assert len(paragraphs(heldout)) > 300
    assert not paragraphs(prompt) & paragraphs(heldout)


def test_there_is_enough_plain_text_for_quality_and_for_load() -> None:
    assert len(load_text(HELDOUT_PART)) > 100_000
    assert len(load_text(PROMPT_PART)) > 500_000
    assert load_text(PROMPT_PART).isascii()


def test_the_digest_is_of_the_text() -> None:
    digest = hashlib.sha256(load_text(HELDOUT_PART).encode()).hexdigest()
    assert sha256(HELDOUT_PART) == digest != sha256(PROMPT_PART)
