"""Parts of pages that are generated: what stands between two marks."""


def between(page: str, start: str, text: str, end: str) -> str:
    """The page with `text` between its marks, whatever stood there. Raises ValueError without the marks."""
    before, rest = page.split(start)
    _, after = rest.split(end)
    return f"{before}{start}{text}{end}{after}"
