"""Graph (edited) → Plan (compiled) → Renderer (one quantum at a time). Knows processors by contract only."""

from engine.rendering.graph import Graph
from engine.rendering.plan import Plan, compile_plan
from engine.rendering.renderer import Renderer

__all__ = ["Graph", "Plan", "Renderer", "compile_plan"]
