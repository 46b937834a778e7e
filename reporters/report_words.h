#ifndef REPORTERS_REPORT_WORDS_H
#define REPORTERS_REPORT_WORDS_H

#include "core/buf.h"
#include "reporters/report.h"

/* Sentences of a report, that every form for people shares. They go by the report's document alone.
 */

/*
 * The sentence behind verdict and name: what broke, or what was kept, or why there is no answer. No
 * full stop, no newline.
 */
void words_headline(const json_t *doc, struct buf *out);

/*
 * What breaks the promise, several joined: "3 of 10 acknowledged messages were lost at the broker,
 * and 1 surplus copy was stored". Nothing when nothing does.
 */
void words_broken(const json_t *doc, struct buf *out);

/* Is what was read on a side ("source", "target") a queue, from which reading takes away? */
bool words_of_queue(const json_t *doc, const char *side);

/* Is the run's source a stream beside the queue that has what was routed (--routed-stream), and the queue behind it? */
bool words_of_routed(const json_t *doc);

/* Is the run's source a queue whose messages were the relay's to take, so that it was not read? */
bool words_of_unread(const json_t *doc);

/* Where the cause is plain from settings and findings: one sentence with what to try. Else nothing.
 */
void words_hint(const json_t *doc, struct buf *out);

/* The same, where the cause is plain from what one finding says. Else nothing. */
void words_hint_of_finding(const struct report_finding *f, struct buf *out);

/* What a kept promise rests on, and what it does not say: sentences for a PASS. */
void words_proved(const json_t *doc, struct buf *out);
void words_not_proved(const json_t *doc, struct buf *out);

/* "12.1" for a producer's start, "-" where it is not known. */
void words_producer(const struct report_finding *f, struct buf *out);

/* "17", "17-19", or "-" for unnamed corruption. */
void words_range(const struct report_finding *f, struct buf *out);

/* Why, with the positions that are known in a few words. */
void words_why(const struct report_finding *f, struct buf *out);

/* A setting's value; "" when it is not on record. */
const char *words_setting(const json_t *doc, const char *scope, const char *name);

#endif
