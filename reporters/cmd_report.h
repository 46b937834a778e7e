#ifndef REPORTERS_CMD_REPORT_H
#define REPORTERS_CMD_REPORT_H

#include "core/err.h"
#include "core/opt.h"

extern const struct command cmd_report;
extern const struct command cmd_explain;
extern const struct command cmd_runs;
extern const struct command cmd_runs_delete;

struct ledger;
struct run;

/* What `report` and `run` share: forms, files, limit. */
struct report_opts {
	const char *ledger;
	const char *format;
	struct opt_list output;
	uint64_t limit;
};

#define REPORT_OPTS(owner, member)                                                                 \
	{.name = "format",                                                                         \
		.type = OPT_CHOICE,                                                                \
		.arg = "text|json",                                                                \
		.choices = "text|json",                                                            \
		.dflt = "text",                                                                    \
		.offset = offsetof(owner, member.format),                                          \
		.group = "Report",                                                                 \
		.help = "The form of the report on standard output."},                             \
		{.name = "output",                                                                 \
			.letter = 'o',                                                             \
			.type = OPT_LIST,                                                          \
			.arg = "FORMAT=FILE",                                                      \
			.offset = offsetof(owner, member.output),                                  \
			.help = "Write a report of this form to a file as well. Repeatable."},     \
	{                                                                                          \
		.name = "limit", .type = OPT_COUNT, .arg = "N", .dflt = "20",                      \
		.offset = offsetof(owner, member.limit),                                           \
		.help = "Findings shown in the text report; 0: all. Other forms have all."         \
	}

/*
 * Can what is asked for be done: are the forms known, can the files be written? Before work is begun that
 * would be in vain. Writes nothing. Returns 0, ERR_USAGE, or ERR_IO, ERR_DENIED, ERR_NOTFOUND (a file).
 */
MUST_CHECK int report_check_opts(const struct report_opts *o, struct err *e);

/* Write the report of a run as asked. Returns 0 with the verdict's exit code, or what failed. */
MUST_CHECK int report_write(struct ledger *l, const struct run *run, const struct report_opts *o,
	int *ret_exit, struct err *e);

#endif
