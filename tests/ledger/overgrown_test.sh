#!/usr/bin/env bash
# A log that is cut, and grows beyond the reader before anybody hints at it: what counts in the end is what the
# log holds. SEED and ROUNDS choose others.
# shellcheck source=tests/ledger/lib.sh
. "$(dirname "$0")/lib.sh"

seed=${SEED:-$RANDOM}
timeout 300 "$bin/overgrown" "${ROUNDS:-10}" "$seed" >"$work/out" 2>"$work/err"
is "the log is cut and read, SEED=$seed" $? 0
sed 's/^/# /' "$work/out" "$work/err"
ok "it was cut often" test "$(value cuts_made)" -ge 20
ok "and often grew beyond the reader before the next look" test "$(value overgrown)" -ge 10
ok "cuts were found" test "$(value cuts_found)" -ge 10
is "what counts in the end is what the log holds, each once" "$(value wrong)" 0
done_testing
