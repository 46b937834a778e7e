#ifndef CORE_UNITS_H
#define CORE_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

/* Numbers, sizes and times as people write and read them. */

/* "250", "10k", "1.5M", "2G": decimal multiples. Returns 0 or ERR_USAGE (ret untouched). */
MUST_CHECK int units_parse_count(const char *text, uint64_t *ret, struct err *e);

/* "100", "64k", "1M", "2G": bytes, in multiples of 1024. Returns 0 or ERR_USAGE. */
MUST_CHECK int units_parse_size(const char *text, uint64_t *ret, struct err *e);

/* "500ms", "10s", "5m", "2h", "1d", "250us"; a bare number is a usage error but for "0". */
MUST_CHECK int units_parse_duration(const char *text, int64_t *ret_ns, struct err *e);

#define UNITS_LEN 40

/* 3919 -> "3,919". Returns buf. */
char *units_grouped(uint64_t n, char buf[UNITS_LEN]);

/* 102400 -> "102.4 k"; below 10,000 grouped digits. Returns buf. */
char *units_short(uint64_t n, char buf[UNITS_LEN]);

/* 2100000 -> "2.1 ms", 90e9 -> "1 min 30 s". Returns buf. */
char *units_duration(int64_t ns, char buf[UNITS_LEN]);

/* 65536 -> "64 KiB". Returns buf. */
char *units_bytes(uint64_t n, char buf[UNITS_LEN]);

#endif
