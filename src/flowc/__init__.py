"""flowc: a compiler and runtime for typed agentic programs.

Decorators: `flow`, `llm`, `tool`, `human`, `event`, `kernel`, `jit`. Types of arrays: `f32["n", 384]` and its
kin. Labels: `Untrusted[str]`, `Secret[str]`. In flow bodies: `limit`, `transaction`, `race`, `vote`, `sleep`,
`endorse`, `declassify` and the built-ins that Python lacks. Nothing is imported before it is used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowc.compiler.diagnostics.model import CompileError as CompileError
    from flowc.compiler.python.decorators import event as event
    from flowc.compiler.python.decorators import flow as flow
    from flowc.compiler.python.decorators import human as human
    from flowc.compiler.python.decorators import kernel as kernel
    from flowc.compiler.python.decorators import llm as llm
    from flowc.compiler.python.decorators import tool as tool
    from flowc.compiler.python.functions import agreement as agreement
    from flowc.compiler.python.functions import argmax as argmax
    from flowc.compiler.python.functions import argmin as argmin
    from flowc.compiler.python.functions import embed as embed
    from flowc.compiler.python.functions import erf as erf
    from flowc.compiler.python.functions import majority as majority
    from flowc.compiler.python.functions import put as put
    from flowc.compiler.python.functions import sentences as sentences
    from flowc.compiler.python.functions import sigmoid as sigmoid
    from flowc.compiler.python.functions import softmax as softmax
    from flowc.compiler.python.functions import topk as topk
    from flowc.compiler.python.jit_decorator import jit as jit
    from flowc.compiler.python.loading import load as load
    from flowc.compiler.python.marks import Array as Array
    from flowc.compiler.python.marks import Public as Public
    from flowc.compiler.python.marks import Secret as Secret
    from flowc.compiler.python.marks import Trusted as Trusted
    from flowc.compiler.python.marks import Untrusted as Untrusted
    from flowc.compiler.python.marks import bf16 as bf16
    from flowc.compiler.python.marks import declassify as declassify
    from flowc.compiler.python.marks import dims as dims
    from flowc.compiler.python.marks import endorse as endorse
    from flowc.compiler.python.marks import f16 as f16
    from flowc.compiler.python.marks import f32 as f32
    from flowc.compiler.python.marks import f64 as f64
    from flowc.compiler.python.marks import i8 as i8
    from flowc.compiler.python.marks import i16 as i16
    from flowc.compiler.python.marks import i32 as i32
    from flowc.compiler.python.marks import i64 as i64
    from flowc.compiler.python.marks import limit as limit
    from flowc.compiler.python.marks import race as race
    from flowc.compiler.python.marks import sleep as sleep
    from flowc.compiler.python.marks import transaction as transaction
    from flowc.compiler.python.marks import u8 as u8
    from flowc.compiler.python.marks import vote as vote
    from flowc.compiler.python.products import attention as attention
    from flowc.compiler.python.products import conv2d as conv2d
    from flowc.compiler.python.sampling import categorical as categorical
    from flowc.compiler.python.sampling import dropout as dropout
    from flowc.compiler.python.sampling import random_normal as random_normal
    from flowc.compiler.python.sampling import random_uniform as random_uniform
    from flowc.compiler.python.sampling import segment_max as segment_max
    from flowc.compiler.python.sampling import segment_mean as segment_mean
    from flowc.compiler.python.sampling import segment_min as segment_min
    from flowc.compiler.python.sampling import segment_prod as segment_prod
    from flowc.compiler.python.sampling import segment_sum as segment_sum
    from flowc.durable import answer as answer
    from flowc.durable import resolve as resolve
    from flowc.durable import resume as resume
    from flowc.durable import runs as runs
    from flowc.durable import show as show
    from flowc.runtime.errors import FlowError as FlowError
    from flowc.runtime.native import set_threads as set_threads
    from flowc.runtime.native import threads as threads
    from flowc.runtime.scheduler.current import idempotency_key as idempotency_key

_HOMES = {
    "flowc.compiler.diagnostics.model": "CompileError",
    "flowc.runtime.errors": "FlowError",
    "flowc.durable": "answer resolve resume runs show",
    "flowc.runtime.scheduler.current": "idempotency_key",
    "flowc.runtime.native": "set_threads threads",
    "flowc.compiler.python.decorators": "event flow human kernel llm tool",
    "flowc.compiler.python.functions": (
        "agreement argmax argmin embed erf majority put sentences sigmoid softmax topk"
    ),
    "flowc.compiler.python.products": "attention conv2d",
    "flowc.compiler.python.sampling": (
        "categorical dropout random_normal random_uniform segment_max segment_mean segment_min segment_prod "
        "segment_sum"
    ),
    "flowc.compiler.python.jit_decorator": "jit",
    "flowc.compiler.python.loading": "load",
    "flowc.compiler.python.marks": (
        "Array Public Secret Trusted Untrusted bf16 declassify dims endorse f16 f32 f64 i8 i16 i32 i64 "
        "u8 limit race sleep transaction vote"
    ),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

__all__ = list(_HOME)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'flowc' has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*_HOME, "__version__"]
