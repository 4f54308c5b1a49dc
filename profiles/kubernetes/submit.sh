#!/bin/sh
# Submits a job script as a job of Kubernetes and prints its name.
#
#   submit.sh CORES MEMORY_MB MINUTES GPUS SCRIPT
#
# The environment names the image (INCBAYES_IMAGE), the claim of the volume (INCBAYES_CLAIM) and
# where pods mount it (INCBAYES_MOUNT): there the script and the working directory lie.
set -eu

cores=$1 memory=$2 minutes=$3 gpus=$4 script=$5
: "${INCBAYES_IMAGE:?names the image that jobs run in}"
: "${INCBAYES_CLAIM:?names the claim of the volume that all pods share}"
: "${INCBAYES_MOUNT:?says where pods mount that volume}"

limits="memory: ${memory}M"
if [ "$gpus" -gt 0 ]; then
    limits="$limits, nvidia.com/gpu: $gpus"
fi

kubectl create --output 'jsonpath={.metadata.name}' --filename - <<MANIFEST
apiVersion: batch/v1
kind: Job
metadata:
  generateName: incbayes-
  labels: {app: incbayes}
spec:
  backoffLimit: 0  # Snakemake itself tries again
  ttlSecondsAfterFinished: 86400
  template:
    spec:
      restartPolicy: Never
      activeDeadlineSeconds: $((minutes * 60))  # from its start: waiting does not count
      containers:
        - name: job
          image: "$INCBAYES_IMAGE"
          command: [/bin/sh, "$script"]
          workingDir: "$PWD"
          resources:
            requests: {cpu: $cores, memory: ${memory}M}
            limits: {$limits}
          volumeMounts:
            - {name: shared, mountPath: "$INCBAYES_MOUNT"}
      volumes:
        - {name: shared, persistentVolumeClaim: {claimName: "$INCBAYES_CLAIM"}}
MANIFEST
