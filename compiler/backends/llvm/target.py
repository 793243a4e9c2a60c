"""The machine to compile for, and LLVM's part of the work: optimise and assemble."""

from functools import cache

from attrs import frozen
from llvmlite import binding


@frozen
class Target:
    """A processor as LLVM names it, and the width of its vectors in bits."""

    triple: str
    cpu: str
    features: str
    vector_bits: int

    @property
    def attributes(self) -> str:
        """The attributes that every function of a module carries."""
        return (
            f'nounwind "target-cpu"="{self.cpu}" "target-features"="{self.features}" '
            f'"prefer-vector-width"="{self.vector_bits}"'
        )


@cache
def host() -> Target:
    """This machine."""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    features = binding.get_host_cpu_features()
    width = 512 if features.get("avx512f") else 256 if features.get("avx") else 128
    return Target(binding.get_default_triple(), binding.get_host_cpu_name(), features.flatten(), width)


@frozen
class Assembled:
    """What LLVM makes of a module."""

    llvm_ir: str
    object_code: bytes
    assembly: str


def assemble(llvm_ir: str, target: Target, level: int = 3, with_assembly: bool = False) -> Assembled:
    """Verifies and optimises LLVM IR text, then generates code; the text given back is the optimised one."""
    host()
    machine = binding.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=level, reloc="pic", codemodel="small"
    )
    module = binding.parse_assembly(llvm_ir)
    module.triple = target.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    options = binding.PipelineTuningOptions(speed_level=level)
    options.loop_vectorization = options.slp_vectorization = options.loop_interleaving = level > 1
    options.loop_unrolling = level > 1
    builder = binding.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    assembly = machine.emit_assembly(module) if with_assembly else ""
    return Assembled(str(module), machine.emit_object(module), assembly)
