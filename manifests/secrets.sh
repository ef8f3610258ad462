#!/bin/sh
# Make the secrets that MLflow needs, where they are missing: manifests/secrets.sh [NAMESPACE]
# Values are random and never leave the cluster; a secret that is there is left as it is. Read the password of `admin`:
#   kubectl -n ctlr get secret mlflow-auth -o go-template='{{.data.password | base64decode}}'
set -eu
namespace=${1:-ctlr}
kubectl get namespace "$namespace" >/dev/null # says so where it is missing: kubectl apply -f manifests/base/namespace.yaml

values=$(mktemp -d)
trap 'rm -rf "$values"' EXIT
random() { openssl rand -hex 24 | tr -d '\n'; }

missing() { ! kubectl -n "$namespace" get secret "$1" >/dev/null 2>&1; }

if missing mlflow-database; then
    random >"$values/password"
    kubectl -n "$namespace" create secret generic mlflow-database --from-file="$values/password"
fi
if missing mlflow-auth; then
    printf admin >"$values/username"
    random >"$values/password"
    random >"$values/flask-key"
    kubectl -n "$namespace" create secret generic mlflow-auth \
        --from-file="$values/username" --from-file="$values/password" --from-file="$values/flask-key"
fi
