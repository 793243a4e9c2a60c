"""Object code into the process by LLVM: for machines and systems that `linking.py` knows nothing of."""

from collections.abc import Iterable, Mapping

from llvmlite import binding


def linked_by_llvm(
    code: bytes, names: Iterable[str], known: Mapping[str, int]
) -> tuple[dict[str, int], object]:
    """The addresses of functions of object code of this machine, and what keeps the code; `known` are
    functions that it may call besides the system's."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    for name, address in known.items():
        binding.add_symbol(name, address)
    # One machine per engine: an engine takes it over, and two that share one crash.
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return {name: engine.get_function_address(name) for name in names}, engine
