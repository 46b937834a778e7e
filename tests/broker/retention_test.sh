#!/usr/bin/env bash
# Retention and compaction while a run goes on. What was read before it went is expired, never lost; what went
# before anybody read it is unread, and nobody can decide; a compacted log is no loss. Each by name, as an
# independent reader misses it; and judged again, after more has gone, still the same way.
# shellcheck source=../lib.sh
. "$(dirname "$0")/../lib.sh"

python_env
lab_up --broker-config log.retention.check.interval.ms=1000 --broker-config log.initial.task.delay.ms=500 \
	--broker-config log.cleaner.backoff.ms=500
url() { echo "kafka://lab:$lab/$1"; }
kinds() { report "$1" '[.sums[] | "\(.kind) \(.stage) \(.count)"] | sort | join(", ")'; }
ends() { python_in_lab "$top/tests/broker/tools/log_ends.py" "$(bootstrap)" "$1"; }
started_at() { [ "$(ends "$1" | cut -d' ' -f1)" -ge "$2" ]; }
alter() { # TOPIC NAME=VALUE
	in_lab kafka-configs --bootstrap-server "$(bootstrap)" --alter --entity-type topics --entity-name "$1" \
		--add-config "$2" >"$work/alter.out" 2>&1 || bail "cannot alter $1: $(tail -1 "$work/alter.out")"
}
read_of() { report_is "$1" ".counts.read >= $2"; }
settled() { # TOPIC: nothing has gone since the last look
	local now
	now=$(read_log "$1" | md5sum)
	[ "$now" = "${last:-}" ] && return
	last=$now
	return 1
}
read_log() { python_in_lab "$top/tests/broker/tools/read_log.py" "$(bootstrap)" "$1"; }
missing() { # RUN: what was acked (all of it) and an independent reader does not find
	report "$1" '.lanes[] | "\(.producer_id).\(.epoch).\(.partition) \(.intended)"' | while read -r lane n; do
		seq 1 "$n" | sed "s/^/$lane./"
	done | sort >"$work/$1.sent"
	read_log "$1" | cut -d' ' -f1 | sort -u >"$work/$1.present"
	comm -23 "$work/$1.sent" "$work/$1.present"
}
big=(-s 1000 -r 1k -q -X acks=all -X enable.idempotence=true --topic-config segment.bytes=1048576)
expiring=("${big[@]}" --topic-config retention.ms=1000)

# ---- three runs at once: read while it expires, not read at all, compacted ------------------------
"$mq" run "$(url seen)" --run seen --create-topic 2:3 "${expiring[@]}" >"$work/seen.txt" 2>&1 &
seen=$!
"$mq" probe "$(url unseen)" --run unseen --create-topic 2:3 "${expiring[@]}" >"$work/unseen.txt" 2>&1 &
unseen=$!
"$mq" run "$(url compact)" --run compact --create-topic 2:3 "${big[@]}" --keys 50 \
	--topic-config cleanup.policy=compact --topic-config min.cleanable.dirty.ratio=0.01 >"$work/compact.txt" 2>&1 &
compact=$!
"$mq" run "$(url kept)" --run kept --create-topic 2:3 "${big[@]}" >"$work/kept.txt" 2>&1 &
kept=$!
ok "seen: segments go by retention" wait_until 60 started_at seen 2000
ok "unseen: segments go by retention" wait_until 60 started_at unseen 2000
holes() { # the log begins at 0, and less stands there than its offsets say
	local low high
	read -r low high <<<"$(ends compact)"
	[ "$low" -eq 0 ] && [ "$(read_log compact | wc -l)" -lt $((high - 2000)) ]
}
ok "compact: the cleaner takes away what newer keys made old" wait_until 60 holes
# nothing may go any more while it is judged and compared
alter seen retention.ms=86400000
alter unseen retention.ms=86400000
alter compact cleanup.policy=delete,retention.ms=86400000
kill -INT "$unseen"
wait "$unseen"
is "unseen: the probe ends" $? 0
at=$(report seen .counts.read)
ok "seen: the run goes on" wait_until 30 read_of seen $((at + 2000))
kill -INT "$compact" "$seen" "$kept"
wait "$seen"
is "read, then gone: PASS" "$? $(report seen '"\(.verdict) \(.agreed)"')" "0 PASS true"
wait "$compact"
is "compacted: PASS" "$? $(report compact '"\(.verdict) \(.agreed)"')" "0 PASS true"
wait "$kept"
is "nothing went: PASS, nothing found" "$? $(report kept '"\(.verdict) \(.agreed)"') $(kinds kept)" "0 PASS true "
for run in seen compact; do
	missing "$run" >"$work/$run.truth"
	identities "$run" expired >"$work/$run.named"
	ok "$run: something is gone" test "$(wc -l <"$work/$run.truth")" -gt 1500
	ok "$run: expired is what an independent reader misses, each and no other" cmp "$work/$run.truth" "$work/$run.named"
	is "$run: and nothing else is found" "$(kinds "$run")" "expired broker $(wc -l <"$work/$run.truth")"
	is "$run: no loss was ever said" "$(report "$run" '[.findings[] | select(.kind == "lost")] | length')" 0
	note "$run: $(report "$run" .counts.acked) acked, $(wc -l <"$work/$run.truth") gone"
done

# ---- gone before it was read ---------------------------------------------------------------------
wait_until 30 settled unseen
"$mq" check "$(url unseen)" --run unseen -q >"$work/unseen.check" 2>&1
is "never read: UNDECIDED" "$? $(report unseen '"\(.verdict) \(.agreed)"')" "4 UNDECIDED true"
missing unseen >"$work/unseen.truth"
identities unseen unread >"$work/unseen.named"
ok "unseen: something is gone" test "$(wc -l <"$work/unseen.truth")" -gt 1500
ok "unseen: unread is what an independent reader misses, each and no other" cmp "$work/unseen.truth" "$work/unseen.named"
is "unseen: and nothing else is found" "$(kinds unseen)" "unread broker $(wc -l <"$work/unseen.truth")"

# ---- more goes, and it is judged again: into what the first judgement had read again ---------------
delete_more() { # how many of each partition
	local low
	printf '{"version":1,"partitions":[' >"$work/delete.json"
	for p in 0 1; do
		low=$(read_log seen | sort -k3n -k2n | awk -v p="$p" '$3 == p && !n++ { print $2 }')
		printf '%s{"topic":"seen","partition":%s,"offset":%s}' "$([ "$p" = 0 ] || echo ,)" "$p" $((low + $1))
	done >>"$work/delete.json"
	printf ']}\n' >>"$work/delete.json"
	in_lab kafka-delete-records --bootstrap-server "$(bootstrap)" --offset-json-file "$work/delete.json" >"$work/delete.out" 2>&1
}
for more in 3 150 40; do
	delete_more "$more"
	is "$more more are deleted of each partition" $? 0
	"$mq" check "$(url seen)" --run seen -q >"$work/seen.again" 2>&1
	is "judged again: PASS" "$? $(report seen '"\(.verdict) \(.agreed)"')" "0 PASS true"
	missing seen >"$work/seen.truth"
	identities seen expired >"$work/seen.named"
	ok "judged again: expired is what an independent reader misses" cmp "$work/seen.truth" "$work/seen.named"
	is "judged again: and nothing else is found" "$(kinds seen)" "expired broker $(wc -l <"$work/seen.truth")"
done

# ---- a checker dies while it reads again what stands behind the log's new beginning ----------------
sql() { psql -qAt "$("$mq" ledger status --format json | jq -r .conninfo)" -c "$1"; }
sweeps="(select count(*) from mqaudit.generation where cause = 'sweep')"
sql "create function mqaudit.slow() returns trigger language plpgsql as \$\$
	begin if $sweeps > $(sql "select $sweeps") then perform pg_sleep(3); end if; return new; end \$\$"
sql "create trigger slow before insert on mqaudit.segment for each statement execute function mqaudit.slow()"
delete_more 25
"$mq" check "$(url seen)" --run seen -q >"$work/seen.killed" 2>&1 &
checker=$!
sleeping() { [ "$(sql "select count(*) from pg_stat_activity where wait_event = 'PgSleep'")" = 1 ]; }
ok "a checker has begun to sweep" wait_until 30 sleeping
kill -KILL "$checker"
wait "$checker" 2>/dev/null
awake() { ! sleeping; }
ok "and is dead" wait_until 30 awake
sql "create or replace function mqaudit.slow() returns trigger language plpgsql as 'begin return new; end'"
"$mq" check "$(url seen)" --run seen -q >"$work/seen.again" 2>&1
is "the next one ends the sweep: PASS" "$? $(report seen '"\(.verdict) \(.agreed)"')" "0 PASS true"
missing seen >"$work/seen.truth"
identities seen expired >"$work/seen.named"
ok "expired is what an independent reader misses" cmp "$work/seen.truth" "$work/seen.named"
is "and nothing else is found" "$(kinds seen)" "expired broker $(wc -l <"$work/seen.truth")"
done_testing
