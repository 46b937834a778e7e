#include "core/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

void clock_sleep_ns(int64_t ns)
{
	struct timespec ts;

	if (ns <= 0)
		return;
	ts.tv_sec = ns / NS_PER_S;
	ts.tv_nsec = ns % NS_PER_S;
	while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
		;
}

int clock_left_ms(int64_t deadline_ns)
{
	int64_t left = deadline_ns - clock_ns();

	if (left <= 0)
		return 0;
	left = (left + NS_PER_MS - 1) / NS_PER_MS;
	return left > INT_MAX ? INT_MAX : (int)left;
}

/* Whole seconds, rounded down also before 1970, and the nanoseconds behind them, never negative. */
static time_t split_seconds(int64_t wall_ns, int64_t *ret_ns)
{
	int64_t s = wall_ns / NS_PER_S, ns = wall_ns % NS_PER_S;

	if (ns < 0) {
		s--;
		ns += NS_PER_S;
	}
	*ret_ns = ns;
	return (time_t)s;
}

char *clock_iso(int64_t wall_ns, char *buf, size_t len)
{
	int64_t ns;
	time_t s = split_seconds(wall_ns, &ns);
	char date[24];
	struct tm tm;

	gmtime_r(&s, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, len, "%s.%06dZ", date, (int)(ns / NS_PER_US));
	return buf;
}

char *clock_hms(int64_t wall_ns, bool millis, char *buf, size_t len)
{
	int64_t ns;
	time_t s = split_seconds(wall_ns, &ns);
	int ms = (int)(ns / NS_PER_MS);
	struct tm tm;

	localtime_r(&s, &tm);
	if (millis)
		snprintf(buf, len, "%02d:%02d:%02d.%03d", tm.tm_hour, tm.tm_min, tm.tm_sec, ms);
	else
		snprintf(buf, len, "%02d:%02d:%02d", tm.tm_hour, tm.tm_min, tm.tm_sec);
	return buf;
}
