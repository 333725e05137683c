"""Runs of this project as jobs of Slurm, which go on by themselves when they are interrupted.

    settings.py     what the environment says of a job
    interpreter.py  the Python that it runs in
    frozen.py       what a submission keeps: the resolved config, commit, command, versions
    submission.py   the batch script, and its way into the queue
    job.py          the job: starts the ranks, and decides what follows their end
    rank.py         one rank, and its record of how it ended
    verdict.py      what the records say, and whether to go on
    slurm.py        questions to Slurm
    follow.py       the log, and how jobs ended

Nothing here imports PyTorch: the process that watches over a job stays small.
"""
