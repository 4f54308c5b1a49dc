#!/bin/sh
# Says of a Slurm job whether it is running, a success or failed; other schedulers have their own.
case $(squeue --noheader --states=all --format=%T --jobs="$1" 2>/dev/null) in
    COMPLETED) echo success ;;
    PENDING | RUNNING | COMPLETING | CONFIGURING | REQUEUED | SUSPENDED) echo running ;;
    *) echo failed ;;
esac
