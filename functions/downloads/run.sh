#!/bin/sh
# What Lambda starts for the streaming function: uvicorn, which the Web Adapter in front of it turns invocations into
# requests for. One invocation at a time, so one worker. The layers' folder is not on the path of a plain process.
export PYTHONPATH="${LAMBDA_TASK_ROOT:-.}:/opt/python${PYTHONPATH:+:$PYTHONPATH}"
exec python3 -m uvicorn app:app --host "${HOST:-127.0.0.1}" --port "${AWS_LWA_PORT:-8080}" --http httptools --no-access-log --no-server-header --no-proxy-headers
