#!/bin/sh
# Take out of a virtual environment what runs nothing: pip, packages' own tests, torch's headers and test programs.
# Compiled bytecode stays: without it a pod on a read-only root compiles every module anew, seconds each start.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
"$1/bin/pip" uninstall --quiet --yes setuptools
for name in matplotlib networkx numpy pandas pyarrow scipy skimage sklearn sympy; do
    [ ! -d "$packages/$name" ] || find "$packages/$name" -type d -name tests -prune -exec rm -r {} +
done
rm -rf "$packages"/torch/include "$packages"/torch/share "$packages"/torch/test "$packages"/pyarrow/include
if [ -d "$packages/torch/bin" ]; then
    find "$packages/torch/bin" -type f ! -name 'torch_shm_manager' -delete
fi
"$1/bin/pip" uninstall --quiet --yes pip
