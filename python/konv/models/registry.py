"""Layers from what files say of them: a class's name, looked up in a fixed list, and its arguments."""

from __future__ import annotations

from typing import Any

from konv import layers
from konv._arguments import is_class_and_config, shown
from konv.layers.base import Layer

_LAYERS: dict[str, type[Layer]] = {
    name: cls
    for name in layers.__all__
    if isinstance(cls := getattr(layers, name), type) and issubclass(cls, Layer) and cls is not Layer
}


def layer_from_config(described: Any, custom_objects: dict[str, type[Layer]] | None = None) -> Layer:
    """Make a layer or model from `{"class_name": ..., "config": ...}`, see
    `konv._arguments.class_and_config`.

    Raises
    ------
    ValueError
        If the class is neither Konv's nor in `custom_objects`, or the description is of another form.
    """
    from konv.models.model import Model
    from konv.models.sequential import Sequential

    if not is_class_and_config(described):
        raise ValueError(
            f'a layer must be described by "class_name", a str, and "config", a dict, '
            f"received {shown(described)}"
        )
    class_name, config = described["class_name"], described["config"]
    models = {"Model": Model, "Sequential": Sequential}
    classes: dict[str, type[Layer]] = {**_LAYERS, **models, **(custom_objects or {})}
    if class_name not in classes:
        raise ValueError(
            f"unknown class of layers {shown(class_name)}, expected one of {', '.join(sorted(classes))}; "
            "a class of one's own goes into custom_objects"
        )
    cls = classes[class_name]
    if issubclass(cls, Model):
        return cls.from_config(config, custom_objects)
    return cls.from_config(config)
