"""What the contestants hold and are asked: memories of users, questions, documents, vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmarks.service import texts
from benchmarks.service.embedding import embed
from memapp.records import ReadDocument, Vectors
from memapp.services.chunking import chunks_of

CHUNK_CHARACTERS = 1200
CHUNK_OVERLAP = 200
"""As in memapp's own settings, so that everybody stores the same chunks."""

FRESH_QUESTIONS = 1_000_000
"""Number of the first question of which nobody has a vector yet."""


@dataclass(frozen=True)
class Corpus:
    """Texts and vectors by number.

    Attributes:
        memories: Memories that are there from the beginning.
        users: Users they belong to, in turn.
        additions: Memories to be added later whose vectors are at hand; then these come again.
        questions: Questions whose vectors are at hand.
        documents: Documents in the library.
        document_characters: Length of each.
        cache: Folder that keeps vectors from run to run.
    """

    memories: int
    users: int
    additions: int
    questions: int
    documents: int
    document_characters: int
    cache: Path

    @property
    def label(self) -> str:
        """The population in short: `10k/5` are 10,000 memories of 5 users."""
        count = self.memories
        return f"{count // 1000}k/{self.users}" if count % 1000 == 0 else f"{count}/{self.users}"

    def user(self, number: int) -> str:
        """Return whose memory a number is."""
        return f"user-{number % self.users:04d}"

    def row(self, number: int) -> int:
        """Return the row of a memory's vector."""
        if number < self.memories:
            return number
        return self.memories + (number - self.memories) % self.additions

    def question_row(self, number: int) -> int:
        """Return the row of a question's vector, for one of the first `questions`."""
        return self.memories + self.additions + number

    @property
    def first_chunk_row(self) -> int:
        """The row of the vector of the first chunk in the library."""
        return self.memories + self.additions + self.questions

    def document(self, number: int) -> str:
        """Return the text of a document."""
        return texts.document(number, self.document_characters)

    @cached_property
    def chunks(self) -> list[str]:
        """All chunks of the library, in order."""
        return [chunk for n in range(self.documents) for chunk in chunks(self.document(n))]

    @cached_property
    def vectors(self) -> Vectors:
        """All given vectors: of memories, additions, questions and chunks, by row."""
        stored = [texts.memory(number) for number in range(self.memories + self.additions)]
        asked = [texts.question(number) for number in range(self.questions)]
        parts = [embed(part, self.cache) for part in (stored, asked, self.chunks)]
        return np.concatenate(parts)

    def nearest(self, user: int, question: int, limit: int) -> set[str]:
        """Return the texts of the `user`-th user's nearest memories, found by comparing all."""
        numbers = range(user, self.memories, self.users)
        cosines = self.vectors[list(numbers)] @ self.vectors[self.question_row(question)]
        order = np.argsort(-cosines, kind="stable")[:limit]
        return {texts.memory(numbers[i]) for i in order}


def chunks(document: str) -> Sequence[str]:
    """Cut a document as memapp does with its default settings."""
    read = ReadDocument(text=document, format="markdown")
    cut = chunks_of(read, limit=CHUNK_CHARACTERS, overlap=CHUNK_OVERLAP)
    return [chunk.text for chunk in cut]
