"""Pictures of pipelines and of their runs: laid out and drawn here, as SVG, PNG, Mermaid, text or a page."""

from pipe_core.graph.pictures.errors import PictureError
from pipe_core.graph.pictures.gantt import Gantt, Timing, gantt
from pipe_core.graph.pictures.picture import Picture, picture_of

__all__ = ["Gantt", "Picture", "PictureError", "Timing", "gantt", "picture_of"]
