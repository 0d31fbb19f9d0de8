"""Many files at once: finding inputs, naming outputs, leaving out what is done, shards, and processes that do the work.

    from rdae import batch
    from rdae.pictures import SUFFIXES

    inputs = batch.find_inputs(["photos"], SUFFIXES, recursive=True)
    jobs = batch.plan_jobs(inputs, ".rdae", directory="compressed")
    for outcome in batch.run(batch.Compress(quality=60), jobs, processes=8, skip_existing=True):
        print(outcome.job.input, outcome.error or outcome.job.output)

This is what `rdae compress`, `decompress` and `verify` do. Whoever has machines or schedulers of their own takes a
`shard` of the jobs, or the `unfinished` ones, and calls `perform` where they are to be done: examples/ray_compress.py.
Inputs and outputs may be URLs. Importing this loads no numbers' library; a task loads what it needs with the first job.
"""

from rdae.batch.compress import Compress
from rdae.batch.decompress import Decompress
from rdae.batch.inputs import Input, find_inputs, shard
from rdae.batch.outputs import plan_jobs, unfinished
from rdae.batch.processes import run
from rdae.batch.tasks import Facts, Job, Outcome, Task, perform
from rdae.batch.verify import Verify
from rdae.batch.watch import Watch, Watcher

__all__ = [
    "Compress",
    "Decompress",
    "Facts",
    "Input",
    "Job",
    "Outcome",
    "Task",
    "Verify",
    "Watch",
    "Watcher",
    "find_inputs",
    "perform",
    "plan_jobs",
    "run",
    "shard",
    "unfinished",
]
