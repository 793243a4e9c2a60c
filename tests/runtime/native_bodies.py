"""Bodies for the thread pool, as native code, and the calls that launch them."""

import ctypes
from collections.abc import Callable
from functools import cache

from attrs import frozen

from flowc.compiler.backends.llvm.target import assemble
from flowc.runtime.native.library import library
from flowc.runtime.native.linking import link
from flowc.runtime.processor import host

LONG = 1 << 40
"""Nanoseconds of work for which every thread is worth it."""

_TEXT = """
declare void @flowc_parallel(ptr, ptr, i64, i64, i64)

; Adds 1 to each of the words from low on to below high.
define void @count(ptr %words, i64 %low, i64 %high) {
entry:
  br label %loop
loop:
  %i = phi i64 [ %low, %entry ], [ %next, %loop ]
  %word = getelementptr i64, ptr %words, i64 %i
  %old = load i64, ptr %word
  %new = add i64 %old, 1
  store i64 %new, ptr %word
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %high
  br i1 %more, label %loop, label %end
end:
  ret void
}

; Launches inside a launch: row i has 64 words.
define void @count_rows(ptr %words, i64 %low, i64 %high) {
  %start = mul i64 %low, 64
  %row = getelementptr i64, ptr %words, i64 %start
  %rows = sub i64 %high, %low
  %size = mul i64 %rows, 64
  call void @flowc_parallel(ptr @count, ptr %row, i64 %size, i64 3, i64 WORK)
  ret void
}

; Waits until the word is 0.
define void @stay(ptr %word, i64 %low, i64 %high) {
  br label %look
look:
  %value = load atomic i64, ptr %word acquire, align 8
  %done = icmp eq i64 %value, 0
  br i1 %done, label %end, label %look
end:
  ret void
}

define void @launch_count(ptr %words, i64 %extent, i64 %grain, i64 %work) {
  call void @flowc_parallel(ptr @count, ptr %words, i64 %extent, i64 %grain, i64 %work)
  ret void
}
define void @launch_rows(ptr %words, i64 %extent, i64 %grain, i64 %work) {
  call void @flowc_parallel(ptr @count_rows, ptr %words, i64 %extent, i64 %grain, i64 %work)
  ret void
}
define void @launch_stay(ptr %words, i64 %extent, i64 %grain, i64 %work) {
  call void @flowc_parallel(ptr @stay, ptr %words, i64 %extent, i64 %grain, i64 %work)
  ret void
}
"""

Launch = Callable[[int, int, int, int], None]
"""Address, extent, grain, work."""


@frozen
class Bodies:
    """What can be launched; `memory` keeps the code."""

    count: Launch
    rows: Launch
    stay: Launch
    memory: object


@cache
def bodies() -> Bodies:
    """The launchers, compiled."""
    text = f'target triple = "{host().triple}"\n' + _TEXT.replace("WORK", str(LONG))
    names = ("launch_count", "launch_rows", "launch_stay")
    linked = link(assemble(text, host()).object_code, names, library().addresses)
    prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)
    count, rows, stay = (prototype(linked.addresses[name]) for name in names)
    return Bodies(count, rows, stay, linked.memory)
