#ifndef CORE_WORDS_H
#define CORE_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

/*
 * The words of an audit, as enums with one spelling each. The spelling is what the ledger, the reports
 * and the command line use; words_*() go from enum to text and back.
 */

/* What the client library finally said of a send. A send is never two-valued. */
#define WORDS_OUTCOMES(X)                                                                          \
	X(ACKED, "acked")             /* a broker answered yes */                                  \
	X(UNCONFIRMED, "unconfirmed") /* the library said yes, no broker did (acks=0) */           \
	X(REFUSED, "refused")         /* certainly not stored, or told so */                       \
	X(UNKNOWN, "unknown")         /* nobody can say */                                         \
	X(NONE, "none")             /* no report by the end; the journal proves that none came */  \
	X(UNRECORDED, "unrecorded") /* the journal that would know is gone */

enum outcome {
#define WORDS_ENUM_(name, text) OUTCOME_##name,
	WORDS_OUTCOMES(WORDS_ENUM_)
#undef WORDS_ENUM_
		OUTCOME_N
};

/* What can be found. X(name, text, breaks at-most-once, at-least-once, exactly-once, only if ordered) */
#define WORDS_FINDINGS(X)                                                                          \
	X(LOST, "lost", 0, 1, 1, 0)                                                                \
	X(DUPLICATED, "duplicated", 1, 0, 1, 0)                                                    \
	X(CORRUPTED, "corrupted", 1, 1, 1, 0)                                                      \
	X(PHANTOM, "phantom", 1, 1, 1, 0)                                                          \
	X(INCONSISTENT, "inconsistent", 1, 1, 1, 0)                                                \
	X(REORDERED, "reordered", 1, 1, 1, 1)                                                      \
	X(STUCK, "stuck", 0, 1, 1, 0)                                                              \
	X(ABORTED_READ, "aborted-read", 1, 1, 1, 0)                                                \
	X(UNREAD, "unread", 0, 0, 0, 0)                                                            \
	X(EXPIRED, "expired", 0, 0, 0, 0)                                                          \
	X(UNACKNOWLEDGED, "unacknowledged", 0, 0, 0, 0)                                            \
	X(REFUSED, "refused", 0, 0, 0, 0)                                                          \
	X(FALSE_REFUSAL, "false-refusal", 0, 0, 0, 0)                                              \
	X(REDELIVERED, "redelivered", 0, 0, 0, 0)                                                  \
	X(PENDING, "pending", 0, 0, 0, 0)

enum finding_kind {
#define WORDS_ENUM_(name, text, amo, alo, eo, ordered) FINDING_##name,
	WORDS_FINDINGS(WORDS_ENUM_)
#undef WORDS_ENUM_
		FINDING_N
};

#define WORDS_STAGES(X)                                                                            \
	X(PRODUCE, "produce")                                                                      \
	X(BROKER, "broker")                                                                        \
	X(CONSUME, "consume")                                                                      \
	X(RELAY, "relay")

enum stage {
#define WORDS_ENUM_(name, text) STAGE_##name,
	WORDS_STAGES(WORDS_ENUM_)
#undef WORDS_ENUM_
		STAGE_N
};

#define WORDS_VERDICTS(X)                                                                          \
	X(PASS, "PASS")                                                                            \
	X(FAIL, "FAIL")                                                                            \
	X(UNDECIDED, "UNDECIDED")                                                                  \
	X(NODATA, "NODATA")                                                                        \
	X(ERROR, "ERROR")

enum verdict {
#define WORDS_ENUM_(name, text) VERDICT_##name,
	WORDS_VERDICTS(WORDS_ENUM_)
#undef WORDS_ENUM_
		VERDICT_N
};

/* Exit codes of every command. */
enum exit_code {
	EXIT_PASS = 0,
	EXIT_FINDINGS = 1,
	EXIT_USAGE = 2,
	EXIT_ERROR = 3,
	EXIT_UNDECIDED = 4,
	EXIT_INTERRUPTED = 130,
};

/* The text of a value; "?" for what is none. */
const char *outcome_text(enum outcome o);
const char *finding_text(enum finding_kind k);
const char *stage_text(enum stage s);
const char *verdict_text(enum verdict v);

/* The value of a text. Returns false, with *ret untouched, when there is none of that name. */
bool outcome_parse(const char *text, enum outcome *ret);
bool finding_parse(const char *text, enum finding_kind *ret);
bool stage_parse(const char *text, enum stage *ret);
bool verdict_parse(const char *text, enum verdict *ret);

/* The exit code that goes with a verdict. */
enum exit_code verdict_exit_code(enum verdict v);

/* What a run promises: repeats, losses, both never; and order or not. */
enum delivery { AT_MOST_ONCE, AT_LEAST_ONCE, EXACTLY_ONCE };

struct promise {
	enum delivery delivery;
	bool ordered;
	uint64_t fail_on; /* bit (1 << enum finding_kind): breaks whatever the table says */
	uint64_t allow;   /* bit: never breaks */
};

/*
 * Read "exactly-once", "at-least-once,ordered", ... into delivery and ordered; fail_on and allow are
 * cleared. Returns 0 or ERR_USAGE.
 */
MUST_CHECK int promise_parse(const char *text, struct promise *ret, struct err *e);

/* Add "lost,duplicated,..." to a mask. Returns 0 or ERR_USAGE, with the known kinds as hint. */
MUST_CHECK int promise_kinds_parse(const char *text, uint64_t *mask, struct err *e);

/* "exactly-once,ordered" and the like: a constant. */
const char *promise_text(const struct promise *p);

/* Does a finding of this kind break the promise? (The table of verdicts, with fail_on and allow.) */
bool promise_broken_by(const struct promise *p, enum finding_kind k);

#endif
