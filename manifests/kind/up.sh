#!/bin/sh
# A cluster in Docker with Kubeflow Pipelines, Katib and CTLR: manifests/kind/up.sh (or: make kind-up)
# Takes kind, kubectl >= 1.27, openssl, 12 GB of memory and 30 GB of disk; about 15 minutes, most of them downloads.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-python3}

kind get clusters | grep -qx ctlr || kind create cluster --config manifests/kind/cluster.yaml --wait 5m
kubectl config use-context kind-ctlr

kubectl apply -k manifests/kubeflow/pipelines-cluster
kubectl wait --for=condition=established --timeout=60s crd/workflows.argoproj.io
kubectl apply -k manifests/kubeflow/pipelines
kubectl apply -k manifests/kubeflow/katib --server-side --force-conflicts
kubectl -n kubeflow rollout status deployment/katib-controller --timeout=15m
kubectl -n kubeflow rollout status deployment/ml-pipeline --timeout=15m

for image in ctlr/ctlr-cpu ctlr/ctlr-suggestion ctlr/mlflow; do
    kind load docker-image --name ctlr "$image:0.1.0"
done
kubectl -n kubeflow get configmap katib-config -o json |
    "$PYTHON" manifests/configure_katib.py | kubectl apply --server-side --force-conflicts -f -
kubectl -n kubeflow rollout restart deployment/katib-controller
kubectl label namespace kubeflow --overwrite ctlr.dev/tenant=true katib.kubeflow.org/metrics-collector-injection=enabled

sh manifests/secrets.sh kubeflow
kubectl apply -k manifests/overlays/kind
kubectl -n kubeflow rollout status deployment/mlflow --timeout=10m
kubectl -n kubeflow wait --for=condition=complete --timeout=10m job/ctlr-check || kubectl -n kubeflow logs job/ctlr-check
