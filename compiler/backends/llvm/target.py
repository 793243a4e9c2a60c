"""LLVM's part of the work: verify, optimise, assemble."""

from attrs import frozen
from llvmlite import binding

from flowc.runtime.processor import Processor as Target

__all__ = ["Assembled", "Target", "assemble"]


@frozen
class Assembled:
    """What LLVM makes of a module; the texts are empty unless they were asked for."""

    object_code: bytes
    llvm_ir: str = ""
    assembly: str = ""


def assemble(
    llvm_ir: str, target: Target, level: int = 2, listing: bool = False, finished: str = ""
) -> Assembled:
    """Verifies and optimises LLVM IR text, then generates code; a listing is the optimised IR and assembly.

    The functions of `finished` are left as they are: long ones in which there is nothing to find take most of
    the time.

    Level 0 leaves the optimiser off, for code that is made quickly. Loops are unrolled only where the text
    asks for it: unrolling what is left over of vector loops made half of the code, and none of the speed. For
    the same reason there is no level 3, and no search for vectors outside of loops.
    """
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=level, reloc="pic", codemodel="small"
    )
    module = _parsed(llvm_ir, target, machine)
    options = binding.PipelineTuningOptions(speed_level=level)
    options.loop_vectorization = options.loop_interleaving = level > 0
    options.loop_unrolling = options.slp_vectorization = False
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    if finished:
        module.link_in(_parsed(finished, target, machine))
    if not listing:
        return Assembled(machine.emit_object(module))
    return Assembled(machine.emit_object(module), str(module), machine.emit_assembly(module))


def _parsed(text: str, target: Target, machine: binding.TargetMachine) -> binding.ModuleRef:
    module = binding.parse_assembly(text)
    module.triple = target.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    return module
