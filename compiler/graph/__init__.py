"""Pictures of a plan: what waits for what, drawn as Mermaid, dot or SVG."""
