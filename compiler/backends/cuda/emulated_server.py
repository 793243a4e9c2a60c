"""A process from which programs of emulated kernels are forked; `emulated_children.py` starts it by its path.

Its argument is the program whose imports are made ahead. Each line that it reads is JSON: a program's path,
the folder that the program is given, and seconds. It answers with the status that the program ended with, as
of `subprocess`: after so many seconds that is the negative of SIGALRM. What a program says goes into the file
`said` of its folder.
"""

import json
import os
import runpy
import signal
import sys
import traceback


def main() -> None:
    """Serves until nobody asks any more."""
    runpy.run_path(sys.argv[1], run_name="ahead")
    for line in sys.stdin:
        program, folder, seconds = json.loads(line)
        child = os.fork()
        if not child:
            _run(program, folder, seconds)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _run(program: str, folder: str, seconds: float) -> None:
    """The child's whole life."""
    code = 1
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        said = os.open(os.path.join(folder, "said"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)  # noqa: PTH118
        for file, place in ((nothing, 0), (said, 1), (said, 2)):
            os.dup2(file, place)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        sys.argv = [program, folder]
        runpy.run_path(program, run_name="__main__")
        code = 0
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            code = end.code or 0
        else:
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # the parent's cleaning up is not the child's


if __name__ == "__main__":
    main()
