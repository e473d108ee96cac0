"""The table "what is supported" of the README is what the registry says."""

from pathlib import Path

import pytest
from core import support_table

README = Path(__file__).parents[2] / "README.md"


def test_every_numeric_function_is_in_one_chapter():
    names = [name for text in support_table.CHAPTERS.values() for name in text.split()]
    assert len(names) == len(set(names))
    listed = {func for pairs in support_table.chapters().values() for _, func in pairs}
    missing = support_table.overridable() - listed
    if support_table.is_of_the_table():
        assert not missing
        assert all(support_table.function_of(name) is not None for name in names)


@pytest.mark.skipif(
    not support_table.is_of_the_table(),
    reason=f"the table lists the functions of {' and '.join(support_table.VERSIONS)}",
)
def test_readme_has_the_table():
    """Where it has not: python -m tests.core.support_table README.md."""
    text = README.read_text(encoding="utf-8")
    assert support_table.START in text
    assert support_table.written_into(text) == text
