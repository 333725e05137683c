#!/usr/bin/env bash
# Trains on a Slurm cluster: submits a job that goes on by itself after time limits and preemption.
#
#   scripts/slurm.sh CONFIG [arguments of mmsapiens train] [--dry-run] [--follow] [--max-requeues N]
#                    [--set key=value of any option of sbatch]
#
# CONFIG is a path or a name, such as seg/face/sapiens_1b_face-1024x768. docs/clusters.md says more.
#
# Environment:
#   NUM_NODES                  machines (default 4)
#   GPUS_PER_NODE              on each, with a process a GPU (default 8)
#   DEVICES, TASKS_PER_NODE    DEVICES=cpu for machines without GPUs, TASKS_PER_NODE processes on each
#                              (default 1)
#   CPUS_PER_TASK, MEM, TIME   cores a process; memory a machine, as 200G; time limit, as 7-00:00:00
#   PARTITION, ACCOUNT, QOS, CONSTRAINT, EXCLUDE, JOB_NAME
#                              as Slurm has them; what is not set, Slurm decides
#   CONDA_ENV                  name or path of the environment (default: the one that submits)
#   TRAIN_BATCH_SIZE_PER_GPU   overrides train_dataloader.batch_size
#   OUTPUT_DIR                 results; default work_dirs/<the config's path below configs/>
#   RESUME_FROM                checkpoint to go on from, or "auto" for the last one of OUTPUT_DIR
#   LOAD_FROM                  checkpoint whose weights to start from
#   MODE, or mode              multi-gpu (default) or debug: here, one process, no workers, batch 1
set -euo pipefail

[ $# -ge 1 ] || { sed -n '2,22p' "$0"; exit 2; }
exec "${PYTHON:-python}" -m mmsapiens submit train "$@"
