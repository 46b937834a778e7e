#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Two clocks. `_ns` without more is the monotonic clock: for waits, paces and latencies.
 * `wall_ns` counts from 1970 (UTC): for what is stored, sent and shown, never for waits.
 */

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)

/* Monotonic nanoseconds since some fixed point of this boot. */
int64_t clock_ns(void);

/* Nanoseconds since 1970, UTC. */
int64_t clock_wall_ns(void);

/* Sleep for ns nanoseconds, also across signals. Returns at once for ns <= 0. */
void clock_sleep_ns(int64_t ns);

/* Milliseconds from now until deadline_ns for poll(2): rounded up, 0 when it has passed. */
int clock_left_ms(int64_t deadline_ns);

/*
 * Write wall_ns as ISO 8601 in UTC with microseconds ("2026-11-21T12:30:52.104000Z").
 * len of at least CLOCK_ISO_LEN is a precondition. Returns buf.
 */
#define CLOCK_ISO_LEN 32
char *clock_iso(int64_t wall_ns, char *buf, size_t len);

/* Write wall_ns as local time of day, "12:30:52", or with millis "12:30:52.104". Returns buf. */
char *clock_hms(int64_t wall_ns, bool millis, char *buf, size_t len);

#endif
