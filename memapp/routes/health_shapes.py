"""What memapp answers about its own health."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from memapp.routes.fields import without_default
from memapp.routes.shapes import Count, Shape

Counted = Annotated[
    Count,
    Field(
        description="Of the key's tenant; only with the scope `admin`.",
        json_schema_extra=without_default,
    ),
]


class HealthShape(Shape):
    """The process answers."""

    model_config = ConfigDict(title="Health")

    status: Literal["ok"]
    service: Literal["memapp"]
    version: str
    environment: str = Field(examples=["production"])
    mode: str = Field(description="How memapp reaches Chroma.", examples=["http"])


class ChromaHealthShape(Shape):
    """Chroma answers."""

    model_config = ConfigDict(title="ChromaHealth")

    status: Literal["connected"]
    mode: str = Field(description="How memapp reaches Chroma.", examples=["http"])
    latency_ms: float = Field(ge=0, description="How long a small read took.")
    auth: Literal["enforced", "not_enforced", "not_applicable"] = Field(
        description="Whether the Chroma server refuses a wrong token."
    )
    memories: Counted = 0
    documents: Counted = 0
    chunks: Counted = 0


class ReadyShape(Shape):
    """The process takes requests."""

    model_config = ConfigDict(title="Ready")

    status: Literal["ready"]
