"""A target guided by coverage: libFuzzer through atheris, with the target's own mutations.

The modules of flowc are instrumented as they are imported, so this is imported before they are. What reaches
more is kept in build/fuzz-corpus; of it, what is worth it is moved to tests/fuzz/corpus by hand.
"""

import sys
from random import Random

import atheris


def guided(name: str, seconds: float, seed: int) -> int:
    """Runs so long and ends the process: at the first failure with a status above zero."""
    with atheris.instrument_imports(include=["flowc"], enable_loader_override=False):
        from tests.fuzz.registry import TARGETS, corpus
    from tests.fuzz.contract import LARGEST, attempt
    from tests.fuzz.keeping import BUILD, kept, minimised

    target = TARGETS[name]
    folder = BUILD / "fuzz-corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(corpus(name)):
        (folder / f"seed-{number}").write_bytes(data)

    def one(data: bytes) -> None:
        failure = attempt(target, data)
        if failure is not None:
            print(kept(minimised(target, failure)), file=sys.stderr)
            raise AssertionError(failure.place)

    def mutate(data: bytes, most: int, chosen: int) -> bytes:
        chance = Random(chosen)
        if chance.random() < 0.2:
            return bytes(atheris.Mutate(data, most))
        return target.mutate(chance, (data,))[:most]

    options = [
        f"-max_total_time={int(seconds)}", f"-seed={seed or 1}", f"-max_len={LARGEST}", "-rss_limit_mb=4096",
        "-timeout=30", "-print_final_stats=1", "-verbosity=1", f"-artifact_prefix={folder.parent}/",
        "-detect_leaks=0",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], str(folder), *options], one, custom_mutator=mutate)
    atheris.Fuzz()
    return 0
