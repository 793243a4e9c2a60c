"""The Tower of Hanoi: killed again and again, it comes to the solution, by right moves alone."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.hanoi.game import right_move, solution
from benchmarks.hanoi.suite import play


@given(st.integers(1, 9))
def test_the_right_moves_lead_to_the_solution_and_are_legal(disks: int) -> None:
    pegs = [list(range(disks, 0, -1)), [], []]
    for turn in range(2**disks - 1):
        source, target = divmod(right_move(turn), 10)
        disk = pegs[source].pop()
        assert not pegs[target] or pegs[target][-1] > disk
        pegs[target].append(disk)
    assert pegs == solution(disks)


def test_a_game_that_is_killed_three_times_has_no_wrong_move(tmp_path: Path) -> None:
    game = play(tmp_path, disks=8, kills=3, seed=8)
    assert game.solved
    assert game.kills == 3
    assert game.astray == 0
    assert game.wrong > 0, "a model that is never wrong shows nothing"
    assert game.asked >= 5 * game.moves
    assert [each["records"] for each in game.diary[:-1]] == sorted(
        each["records"] for each in game.diary[:-1]
    )
