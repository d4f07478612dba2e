#!/bin/sh
# spool: the spool alone, killed and failed at every system call in turn (regress/unit/test_spool_crash.c).
cd "$(dirname "$0")/../.." || exit 1
B=${B:-build}
make --no-print-directory B="$B" "$B/unit/test_spool_crash" >/dev/null && exec "$B/unit/test_spool_crash" campaign
