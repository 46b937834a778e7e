#!/usr/bin/env bash
# The two judges come to the same on random evidence, the sums hold, and both come to what a third one counts
# message by message: see judges.c. SEED and CASES widen it.
# shellcheck source=tests/ledger/lib.sh
. "$(dirname "$0")/lib.sh"

cases=${CASES:-150}

"$bin/judges" "${SEED:-1}" "$cases" >"$work/out" 2>"$work/err"
is "no difference, no sum that does not hold" "$? $(cat "$work/err")" "0 "
is "all cases were judged" "$(value cases)" "$cases"
note "$(tail -n +2 "$work/out" | tr '\n' ' ')"
# a test that draws nothing proves nothing
for what in phantom phantom_behind duplicated duplicated_behind lost_behind pending_behind aborted foreign corrupted placed between \
	never_routed queue_lost given_again \
	found_lost found_duplicated found_corrupted found_phantom found_reordered found_redelivered redelivered redelivered_behind found_unread found_expired \
	found_unacknowledged found_refused found_false-refusal found_pending dead_expired dead_redelivered counted; do
	ok "there was something $what" [ "$(value $what)" -gt 10 ]
done
done_testing
