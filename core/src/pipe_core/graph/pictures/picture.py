"""`Picture`: a pipeline drawn, as what one asks for."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from pipe_core.graph.errors import GraphError
from pipe_core.graph.pictures.errors import PictureError
from pipe_core.graph.pictures.faces import face_of
from pipe_core.graph.pictures.layout import Layout, lay_out
from pipe_core.graph.pictures.mermaid import mermaid_of
from pipe_core.graph.pictures.png import png_of
from pipe_core.graph.pictures.reading import scene_of
from pipe_core.graph.pictures.sheets import Orient
from pipe_core.graph.pictures.styles import style_called
from pipe_core.graph.pictures.svg import draw
from pipe_core.graph.pictures.text import text_of
from pipe_core.kernel.index import suggestion
from pipe_core.looks.charts import safe
from pipe_core.looks.folders import check_folder
from pipe_core.looks.frame import page
from pipe_core.looks.wording import several

if TYPE_CHECKING:
    from pipe_core.graph.pictures.model import Scene
    from pipe_core.graph.pipeline import Pipeline

_PAGE: Final = """
main{max-width:none}.drawing{overflow-x:auto}.drawing svg{display:block;margin:0 auto}
"""


class Drawing(ABC):
    """Something drawn: shows itself in notebooks, and can be written to a file."""

    title: str
    """What it shows."""

    @property
    @abstractmethod
    def svg(self) -> str:
        """It as SVG."""

    @property
    def html(self) -> str:
        """It as a page of its own, which loads nothing from elsewhere."""
        body = f'<header><h1>{safe(self.title, 120)}</h1></header><section class="drawing">{self.svg}</section>'
        return page(safe(self.title, 80), body, style=_PAGE)

    def png(self, scale: float = 2.0) -> bytes:
        """It as PNG, *scale* pixels for each unit of the SVG.

        Raises:
            PictureError: ``pip install 'pipe-core[pictures]'`` is missing, or a font.
        """
        return png_of(self.svg, scale=scale)

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> Path:
        """Write it to *path*, and return that.

        Args:
            path: Where to; its ending says as what.
            format: ``"svg"``, ``"png"``, ``"html"``, or what else there is of it, whatever the ending.

        Raises:
            PictureError: There is no such format, or what draws PNG is not installed.
            NoFolderError: The folder of *path* does not exist.
        """
        path = Path(path)
        check_folder(path)
        content = self._formats[self._format(path, format)](self)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
        return path

    _formats: dict[str, Callable[[Any], str | bytes]] = {  # noqa: RUF012  # read only
        "svg": lambda self: self.svg,
        "png": lambda self: self.png(),
        "html": lambda self: self.html,
    }

    def _format(self, path: Path, given: str | None) -> str:
        wanted = (path.suffix if given is None else given).lower().removeprefix(".")
        if wanted in self._formats:
            return wanted
        what = f"No picture can be written as {wanted!r}" if wanted else f"The name '{path}' has no ending"
        raise PictureError(
            f"{what}.{suggestion(wanted, self._formats)} Let the name end in one of these, or say it as format: "
            f"{', '.join(self._formats)}"
        )

    def _repr_svg_(self) -> str:
        return self.svg


class Picture(Drawing):
    """A pipeline drawn.

    Args:
        scene: What there is to draw.
        orient: Which way the arrows go: ``"TB"`` down, ``"LR"`` to the right.
        show_types: Whether annotations are shown.
        show_legend: Whether it is said what the shapes mean.
        style: ``"default"``, ``"dark"``, ``"minimal"`` or ``"monochrome"``.
    """

    def __init__(self, scene: Scene, *, orient: Orient, show_types: bool, show_legend: bool, style: str) -> None:
        self.title = scene.title
        self.scene = scene
        self.orient = orient
        self._types = show_types
        self._legend = show_legend
        self._style = style_called(style)
        self._faces = {box.key: face_of(box, show_types=show_types) for box in scene.boxes()}

    @cached_property
    def layout(self) -> Layout:
        """Where everything stands."""
        return lay_out(self.scene, self._faces, self.orient)

    @cached_property
    def svg(self) -> str:
        """It as SVG."""
        return draw(self.scene, self.layout, self._faces, self._style, legend=self._legend)

    @property
    def mermaid(self) -> str:
        """It as a Mermaid flowchart."""
        return mermaid_of(self.scene, self._faces, self.orient, self._style)

    @property
    def text(self) -> str:
        """It in plain text."""
        return text_of(self.scene, show_types=self._types)

    _formats = {  # noqa: RUF012  # read only
        **Drawing._formats,
        "mmd": lambda self: self.mermaid,
        "mermaid": lambda self: self.mermaid,
        "txt": lambda self: self.text,
        "text": lambda self: self.text,
    }

    def __repr__(self) -> str:
        nodes = sum(box.kind != "input" for box in self.scene.boxes())
        return f"<picture of '{self.title}': {several(nodes, 'node')}, {several(len(self.scene.arrows), 'arrow')}>"


def picture_of(
    pipeline: Pipeline,
    filename: str | os.PathLike[str] | None = None,
    *,
    orient: Orient = "TB",
    depth: int | None = 1,
    flatten: bool = False,
    show_types: bool = True,
    show_legend: bool = False,
    style: str = "default",
    format: str | None = None,
    min_arg_group_size: int | None = 2,
) -> Picture:
    """Draw *pipeline*. See `Pipeline.visualize`."""
    if orient not in get_args(Orient):
        raise GraphError(f"A picture goes 'TB', from top to bottom, or 'LR', from left to right, not {orient!r}.")
    for name, number in (("depth", depth), ("min_arg_group_size", min_arg_group_size)):
        if number is not None and (type(number) is not int or number < 1):
            raise GraphError(f"{name} is a whole number from 1 on, or None, not {number!r}.")
    if format is not None and filename is None:
        raise GraphError(f"format={format!r} says how a file is written; name that file as well.")
    levels = None if flatten and depth == 1 else depth
    scene = scene_of(pipeline, depth=levels, flatten=flatten, group=min_arg_group_size)
    picture = Picture(scene, orient=orient, show_types=show_types, show_legend=show_legend, style=style)
    if filename is not None:
        picture.save(filename, format)
    return picture
