"""The shapes of answers that several resources share, for the OpenAPI document.

Answers are built from plain dicts, which is fast; the tests hold every answer against its shape.
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from memapp.records import MetadataValue

Time = Annotated[datetime, Field(description="UTC, with microseconds.")]
MetadataShape = dict[str, MetadataValue]
Score = Annotated[float, Field(ge=0, le=1, description="Higher is better.")]
Explanation = Annotated[dict[str, Any], Field(description="The parts of the score, by name.")]
Count = Annotated[int, Field(ge=0)]
NextCursor = Annotated[str | None, Field(description="Asks for the next page; null on the last.")]


class Shape(BaseModel):
    """A JSON object that memapp answers; it has no members but those declared."""

    model_config = ConfigDict(extra="forbid", json_schema_serialization_defaults_required=False)


class FieldFault(Shape):
    """What is wrong with one field."""

    pointer: str = Field(
        description="JSON pointer (RFC 6901) into the body, `?name` of a query parameter, `{name}` "
        "of a path's part, or the name of a header.",
        examples=["/text"],
    )
    detail: str = Field(description="The rule and the mend.", examples=["is required"])


class ProblemShape(Shape):
    """An error (RFC 9457)."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(description="What is wrong and what mends it, for people.")
    code: str = Field(description="Stable, for programs.", examples=["invalid_input"])
    request_id: str = Field(description="The id of this request in the log.")
    errors: list[FieldFault] = Field([], description="The fields at fault.")
