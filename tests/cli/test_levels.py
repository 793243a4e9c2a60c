"""`-O3` on the command line."""

import json
from pathlib import Path

from click.testing import CliRunner

from flowc.cli import main

GUARDED = '''\
enum Verdict: yes, no

llm check(question: str) -> Verdict:
    """May this be answered? {question}"""

llm answer(question: str) -> str:
    """Answer {question}"""

flow main(question: str) -> str:
    if check(question) == Verdict.no:
        return "refused"
    return answer(question)
'''


def test_o3_starts_branches_early_and_gives_the_same(tmp_path: Path) -> None:
    file = tmp_path / "guarded.flow"
    file.write_text(GUARDED, "utf-8")
    walls = {True: 0.0, False: 0.0}
    for seed in range(4):
        ran = {}
        for level in ("-O2", "-O3"):
            arguments = ["run", level, str(file), "question=why", "--provider", "simulated"]
            result = CliRunner().invoke(main, [*arguments, "--seed", str(seed), "--output-format", "json"])
            assert result.exit_code == 0, result.output
            ran[level] = json.loads(result.stdout)
            walls[level == "-O3"] += ran[level]["wall_ms"]
        assert ran["-O2"]["result"] == ran["-O3"]["result"]
    assert walls[True] < walls[False]


def test_remarks_say_what_starting_early_is_worth(tmp_path: Path) -> None:
    file = tmp_path / "guarded.flow"
    file.write_text(GUARDED, "utf-8")
    result = CliRunner().invoke(main, ["compile", "-O3", "--remarks", "--emit=plan", str(file)])
    assert result.exit_code == 0
    assert '"speculate"' in result.stdout
    assert "starts before the condition is known: saves up to 385 ms" in result.stderr


def test_what_a_flow_and_its_inlined_copy_say_is_said_once(tmp_path: Path) -> None:
    file = tmp_path / "helped.flow"
    file.write_text(
        'llm ask(q: str) -> str:\n    """Say {q}"""\n\n'
        "flow several(qs: list[str]) -> list[str]:\n    return [ask(q) for q in qs]\n\n"
        "flow main(qs: list[str]) -> list[str]:\n    return several(qs)\n",
        "utf-8",
    )
    result = CliRunner().invoke(main, ["compile", "--remarks", "--emit=plan", str(file)])
    said = result.stderr.splitlines()
    assert any("batch-calls" in line for line in said)
    assert len(said) == len(set(said))
