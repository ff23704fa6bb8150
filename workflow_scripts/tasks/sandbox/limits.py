"""What a program in a box may use."""

from dataclasses import dataclass

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """What a program may use; each number has a place that holds it to it.

    `cpu_seconds` of processor time count for each of its processes, so that a busy machine changes
    no verdict; `wall_seconds` end what sleeps. `memory_mb` is twice a bound: on the address space
    of each process, which the kernel holds at every moment, and on the resident memory of all
    together, which the box's keeper looks at 20 times a second. So all together never have more
    than `processes` x `memory_mb`, and more than `memory_mb` for a moment only. Files are in memory
    as well, `scratch_mb` of them at most, beside it. `output_bytes` are those of stdout and stderr.
    """

    cpu_seconds: int = 10
    wall_seconds: float = 60.0
    memory_mb: int = 1024
    processes: int = 16  # and threads
    open_files: int = 64
    file_mb: int = 16
    scratch_mb: int = 64
    output_bytes: int = MEGABYTE

    def as_keeper_reads(self) -> dict[str, float]:
        """The limits that hold inside the box, in seconds and bytes."""
        return {
            "cpu": self.cpu_seconds,
            "wall": self.wall_seconds,
            "memory": self.memory_mb * MEGABYTE,
            "processes": self.processes,
            "files": self.open_files,
            "file": self.file_mb * MEGABYTE,
        }
