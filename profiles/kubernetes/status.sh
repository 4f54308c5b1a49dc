#!/bin/sh
# Says of a job of Kubernetes whether it is running, a success or failed.
if ! found=$(kubectl get job "$1" --output 'jsonpath=s{.status.succeeded}f{.status.failed}' 2>&1); then
    case $found in
        *NotFound* | *"not found"*) echo failed ;;
        *) echo running ;;  # the cluster did not answer; it is asked again
    esac
    exit
fi
case $found in
    s[1-9]*) echo success ;;
    *f[1-9]*) echo failed ;;
    *) echo running ;;
esac
